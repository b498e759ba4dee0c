// SPDX-License-Identifier: Apache-2.0
//! Does what has to be done at a time: reads from clients again, and ends waits.

use super::Responder;
use std::time::Instant;

impl Responder {
    /// When [`Responder::turn`] has to be called even if nothing is readable.
    pub fn next_turn(&self) -> Option<Instant> {
        let waits = !(self.relays.is_empty() && self.streams.is_empty() && !self.times.has_muted());
        let sweep = waits.then(|| self.times.next_sweep().unwrap_or_else(Instant::now));
        sweep.into_iter().chain(self.times.next_resume()).min()
    }

    pub(super) fn look_at_the_time(&mut self, now: Instant) {
        while let Some(client) = self.times.resumed(now) {
            self.resume(client);
        }
        if self.times.next_sweep().is_none_or(|at| at <= now) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Instant) {
        for client in self.times.begin_sweep(now) {
            self.listen_again(client);
        }
        let late: Vec<u64> = self.relays.iter().filter(|(_, r)| r.until <= now).map(|(number, _)| *number).collect();
        late.into_iter().for_each(|number| self.ask_next(number, None, now));
        let late = self.streams.iter().filter(|(_, stream)| Self::is_late(stream, now));
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        late.into_iter().for_each(|number| self.close(number));
    }
}
