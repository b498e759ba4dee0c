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
    /// [`Error::NotFound`] of the first one that stays missing; [`Error::NoAnswer`] when nobody knows.
    pub async fn are_installed(&self, list: &List) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.are_there(list).await {
                Err(Error::NotFound { .. }) if begun.elapsed() + PAUSE < REPLACED => tokio::time::sleep(PAUSE).await,
                answer => return answer,
            }
        }
    }

    /// Looks once whether the programs of the list are there.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the first one that is missing; [`Error::NoAnswer`] when nobody knows.
    pub async fn are_there(&self, list: &List) -> Result<(), Error> {
        for plugin in &list.plugins {
            self.find(plugin).await?.ok_or_else(|| self.not_found(plugin))?;
        }
        Ok(())
    }

    async fn find(&self, plugin: &Plugin) -> Result<Option<PathBuf>, Error> {
        let found = self.run.find(self.directories, plugin.kind()).await;
        found.map_err(|why| Error::NoAnswer { kind: plugin.kind().to_owned(), why })
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
            match self.find(plugin).await? {
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
