// SPDX-License-Identifier: Apache-2.0
//! A program with a log that ends with the test, and commands that are run to their end.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How much of a log a failing test prints, in bytes.
const LOG_TAIL: usize = 6_000;

/// A process of the test's own; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    asked_to_end: bool,
}

impl Running {
    /// Starts a command whose output is appended to a log.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Running> {
        let file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("run {name}"))?;
        Ok(Running { name: name.to_owned(), child, log: log.to_owned(), asked_to_end: false })
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// With its status and its last words.
    pub fn is_up(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.last_words());
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it takes longer than the limit.
    pub fn terminate(&mut self, limit: Duration) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        self.asked_to_end = true;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < limit, "{} still runs {limit:?} after SIGTERM", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
        let start = log.len().saturating_sub(LOG_TAIL);
        let start = (start..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len());
        log[start..].to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Nobody asked it to end: the test has failed.
        if !self.asked_to_end {
            eprintln!("---- the last words of {} ----\n{}\n----", self.name, self.last_words());
        }
    }
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// When it fails, with what it said.
pub fn output(program: &str, words: &[&str]) -> Result<String> {
    let done = Command::new(program).args(words).stdin(Stdio::null()).output();
    let done = done.with_context(|| format!("run {program}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program} {}: {}: {said}", words.join(" "), done.status);
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
