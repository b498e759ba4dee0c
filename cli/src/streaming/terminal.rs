// SPDX-License-Identifier: Apache-2.0
//! Our own terminal: its raw mode while a session runs, and its size.

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::OwnedFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A terminal in raw mode. Dropping this restores its former mode.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Puts the terminal on standard input into raw mode; `None` when standard input is not a terminal.
    ///
    /// # Errors
    /// When the terminal's mode cannot be read or set.
    pub fn enter() -> Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !isatty(&stdin) {
            return Ok(None);
        }
        let terminal = rustix::io::dup(&stdin).context("duplicate the terminal's descriptor")?;
        let before = tcgetattr(&terminal).context("read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw).context("put the terminal into raw mode")?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // If this fails, the terminal is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// The sizes of the terminal on standard output (or input): first the current one, then each change.
#[derive(Debug)]
pub struct Sizes {
    changed: Signal,
    first: bool,
}

impl Sizes {
    /// Starts watching.
    ///
    /// # Errors
    /// When the signal handler cannot be installed.
    pub fn watch() -> Result<Self> {
        let changed = signal(SignalKind::window_change()).context("watch the terminal's size")?;
        Ok(Self { changed, first: true })
    }

    async fn next(&mut self) -> Winsize {
        loop {
            if !std::mem::replace(&mut self.first, false) {
                self.changed.recv().await;
            }
            let size = tcgetwinsize(std::io::stdout()).or_else(|_| tcgetwinsize(std::io::stdin()));
            match size {
                Ok(size) if size.ws_col > 0 && size.ws_row > 0 => return size,
                _ => {}
            }
        }
    }
}

/// Waits for the next size; for ever when sizes are not watched. Cancelling this loses nothing.
pub async fn next_size(sizes: &mut Option<Sizes>) -> Winsize {
    match sizes {
        Some(sizes) => sizes.next().await,
        None => std::future::pending().await,
    }
}
