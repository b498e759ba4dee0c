// SPDX-License-Identifier: Apache-2.0
//! Running a plugin's program: the wish, and what became of it. How it is run is the caller's affair.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// A program to run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Variables that it gets besides those of the daemon.
    pub variables: Vec<(String, String)>,
    /// Its standard input.
    pub input: Vec<u8>,
    /// After this time it is ended, with everything that it started.
    pub limit: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was never started, for this reason. A program that is being replaced right now is `busy`.
    NotStarted(String),
    /// It was ended after this time.
    Late(Duration),
    /// Nobody knows, for this reason: it may still run.
    Lost(String),
}

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub ending: Ending,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
    /// It printed more than is kept, and was ended for that.
    pub flooded: bool,
}

/// Finds and runs programs.
pub trait Run: Sync {
    /// Finds the program of a plugin: the first [one](crate::programs::is_program) of that name in the directories. It never
    /// waits long for them: they are not ours.
    ///
    /// # Errors
    /// In words: which directory does not answer.
    fn find(&self, directories: &[PathBuf], kind: &str)
    -> impl Future<Output = Result<Option<PathBuf>, String>> + Send;

    /// Runs a program to its end. It never takes much longer than the program's limit.
    fn run(&self, program: Program) -> impl Future<Output = Ran> + Send;
}
