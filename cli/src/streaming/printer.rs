// SPDX-License-Identifier: Apache-2.0
//! Writes our outputs from a separate thread: a pager or pipe that does not read must not block the other direction of
//! the session, and must reach the process as back-pressure.

use anyhow::{Context, Result};
use bytes::Bytes;
use std::io::{self, Write};
use tokio::sync::{mpsc, oneshot};

/// One of our outputs.
#[derive(Debug, Clone, Copy)]
pub enum To {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A short bounded queue of chunks for our outputs, and the thread that writes them.
#[derive(Debug)]
pub struct Printer {
    chunks: mpsc::Sender<(To, Bytes)>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    /// Starts the thread.
    pub fn start() -> Self {
        let (chunks, mut queued) = mpsc::channel::<(To, Bytes)>(8);
        let (tell, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut write_all = || {
                while let Some((to, bytes)) = queued.blocking_recv() {
                    match to {
                        To::Stdout => write(&mut io::stdout().lock(), &bytes)?,
                        To::Stderr => write(&mut io::stderr().lock(), &bytes)?,
                    }
                }
                Ok(())
            };
            // The receiver is gone when the session failed for another reason.
            let _ = tell.send(write_all());
        });
        Self { chunks, ended }
    }

    /// Queues bytes, and waits while the queue is full. `false` when an output has failed: [`Printer::finish`] returns the
    /// error.
    pub async fn print(&self, to: To, bytes: Bytes) -> bool {
        self.chunks.send((to, bytes)).await.is_ok()
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// When an output cannot be written.
    pub async fn finish(self) -> Result<()> {
        drop(self.chunks);
        self.ended.await.context("the thread that prints has died")?.context("write output")
    }
}

fn write(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes)?;
    output.flush()
}
