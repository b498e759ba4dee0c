// SPDX-License-Identifier: Apache-2.0
//! Our outputs, written by a thread of its own: a pager or pipe that does not read must not stop the session's other
//! direction, and its standing still must reach the process as back-pressure.

use anyhow::{Context, Result};
use bytes::Bytes;
use std::io::{self, Write};
use tokio::sync::{mpsc, oneshot};

/// Which output.
#[derive(Debug, Clone, Copy)]
pub enum To {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A queue of a few chunks to our outputs.
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
            // Nobody waits for the result of a session that failed otherwise.
            let _ = tell.send(write_all());
        });
        Self { chunks, ended }
    }

    /// Queues bytes; false when the output broke, which [`Printer::finish`] then tells.
    pub async fn print(&self, to: To, bytes: Bytes) -> bool {
        self.chunks.send((to, bytes)).await.is_ok()
    }

    /// Waits until all is written.
    pub async fn finish(self) -> Result<()> {
        drop(self.chunks);
        self.ended.await.context("the printing thread ended")?.context("write output")
    }
}

fn write(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes)?;
    output.flush()
}
