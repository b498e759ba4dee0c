// SPDX-License-Identifier: Apache-2.0
//! Our own terminal: raw while a session runs, and its size as it changes.

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::OwnedFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A terminal in raw mode, which ends when this is dropped.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Makes the terminal on standard input raw; `None` when it is no terminal.
    pub fn enter() -> Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !isatty(&stdin) {
            return Ok(None);
        }
        let terminal = rustix::io::dup(&stdin).context("keep the terminal")?;
        let before = tcgetattr(&terminal).context("read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw).context("make the terminal raw")?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// The sizes of the terminal on standard output: the one at first, then each new one.
#[derive(Debug)]
pub struct Sizes {
    changed: Signal,
    first: bool,
}

impl Sizes {
    /// Begins to watch.
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

/// The next size, or never when sizes are not watched. Cancel: nothing is lost.
pub async fn next_size(sizes: &mut Option<Sizes>) -> Winsize {
    match sizes {
        Some(sizes) => sizes.next().await,
        None => std::future::pending().await,
    }
}
