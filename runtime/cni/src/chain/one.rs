// SPDX-License-Identifier: Apache-2.0
//! One call of one plugin.

use crate::answer;
use crate::call::{self, Command, Subject};
use crate::error::Error;
use crate::list::{List, Plugin};
use crate::programs;
use crate::run::{Ending, Program, Ran, Run};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a program may be missing or half written: others copy a new one onto the path of the old one.
const REPLACED: Duration = Duration::from_secs(5);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Calls plugins.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a, R> {
    /// Runs their programs.
    pub run: &'a R,
    /// Where their programs are.
    pub directories: &'a [PathBuf],
}

impl<R: Run> Caller<'_, R> {
    /// Waits a moment for programs of the list that are missing: others copy them.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the first one that stays missing.
    pub async fn are_installed(&self, list: &List) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let missing = list.plugins.iter().find(|plugin| programs::find(self.directories, plugin.kind()).is_none());
            match missing {
                None => return Ok(()),
                Some(plugin) if begun.elapsed() + PAUSE >= REPLACED => return Err(self.not_found(plugin)),
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Calls a plugin and returns its standard output. A program that is just being replaced is tried again.
    pub(super) async fn call(
        &self,
        plugin: &Plugin,
        command: Command,
        subject: Option<&Subject<'_>>,
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, Error> {
        let begun = Instant::now();
        let variables = call::variables(command, subject, &programs::joined(self.directories, ":"));
        loop {
            let again = begun.elapsed() + PAUSE < REPLACED.min(limit);
            match programs::find(self.directories, plugin.kind()) {
                None if !again => return Err(self.not_found(plugin)),
                None => {}
                Some(path) => {
                    let program = Program { path, variables: variables.clone(), input: input.clone(), limit };
                    let ran = self.run.run(program).await;
                    if !(again && may_be_replaced(&ran)) {
                        return answer::of(plugin.kind(), command, ran);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn not_found(&self, plugin: &Plugin) -> Error {
        Error::NotFound { kind: plugin.kind().to_owned(), searched: programs::joined(self.directories, ", ") }
    }
}

/// Whether a program ended as one does whose file is being written: it did not start, or it ran into a hole.
fn may_be_replaced(ran: &Ran) -> bool {
    matches!(ran.ending, Ending::NotStarted(_) | Ending::Killed(libc::SIGSEGV | libc::SIGBUS | libc::SIGILL))
}
