// SPDX-License-Identifier: Apache-2.0
//! The sizes of the client's terminal on their way to the process. Only the latest counts: sizes that arrive while one
//! is being set replace each other and hold no memory.

use crate::resize::{Resizes, TerminalSize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The resize stream of a session.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    stream: Resizes,
    latest: Option<TerminalSize>,
}

impl Sizes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads more of the stream.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.state();
        if let Some(size) = state.stream.push(bytes) {
            state.latest = Some(size);
            self.arrived.notify_one();
        }
    }

    /// Takes the latest size, if one came since the last call.
    pub(crate) fn take(&self) -> Option<TerminalSize> {
        self.state().latest.take()
    }

    /// Waits for a size. Cancel: nothing is lost.
    pub(crate) async fn next(&self) -> TerminalSize {
        loop {
            if let Some(size) = self.take() {
                return size;
            }
            self.arrived.notified().await;
        }
    }
}
