// SPDX-License-Identifier: Apache-2.0
//! The pipes of a command. They are read while it runs, and after its end as long as its helpers (background processes)
//! hold them open.
//!
//! Closing our ends would kill a helper with SIGPIPE at its next write, and a pipe that nobody reads would block it. So the
//! pipes are still read and the data is dropped, at a bounded rate: a container must not keep the daemon busy. Only a
//! limited number of helpers get this. Further ones, and all of them when the daemon exits, lose their readers.

use super::output::{Kept, Stream};
use crate::container::MOST_HELPERS;
use crate::error::{Error, Result};
use rustix::pipe::{PipeFlags, pipe_with};
use std::future::pending;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Semaphore;

/// Bytes of one read.
const CHUNK: usize = 8192;
/// The most such commands on the node.
const MOST_OF_ALL: usize = 256;
static ALL: Semaphore = Semaphore::const_new(MOST_OF_ALL);
/// The pause after each [`DROPPED_AT_ONCE`] bytes of a helper.
const PAUSE: Duration = Duration::from_millis(100);
/// The number of bytes that are dropped in one go: the capacity of a pipe.
const DROPPED_AT_ONCE: usize = 64 << 10;

/// The read ends of both pipes, and the output kept so far.
#[derive(Debug)]
pub struct Streams {
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    kept: Kept,
}

impl Streams {
    /// Makes the pipes; the command gets the write ends.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn make() -> Result<(Self, [OwnedFd; 2])> {
        let (stdout, stdout_writer) = pipe()?;
        let (stderr, stderr_writer) = pipe()?;
        let streams = Self { stdout: Some(stdout), stderr: Some(stderr), kept: Kept::default() };
        Ok((streams, [stdout_writer, stderr_writer]))
    }

    /// Waits for one of the streams and reads it once; returns at once when both have ended.
    pub async fn read_some(&mut self) {
        if self.ended() {
            return;
        }
        // Otherwise a pipe that is always full would never let this thread do anything else.
        tokio::task::coop::consume_budget().await;
        let stream = tokio::select! {
            () = readable(self.stdout.as_ref()) => Stream::Stdout,
            () = readable(self.stderr.as_ref()) => Stream::Stderr,
        };
        let pipe = self.pipe(stream);
        let mut chunk = [0; CHUNK];
        match pipe.as_ref().map(|pipe| pipe.try_read(&mut chunk)) {
            Some(Ok(n)) if n > 0 => self.kept.take(stream, &chunk[..n]),
            Some(Err(e)) if e.kind() == ErrorKind::WouldBlock => {}
            _ => *pipe = None,
        }
    }

    /// Reads both streams to their ends.
    pub async fn read_all(&mut self) {
        while !self.ended() {
            self.read_some().await;
        }
    }

    /// Reads what is in the pipes now, without waiting. If the command has ended, that is all of its own output.
    pub fn take_what_is_there(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(pipe) = self.pipe(stream).take() else { continue };
            let mut left = rustix::io::ioctl_fionread(&pipe).unwrap_or(0);
            let mut chunk = [0; CHUNK];
            while left > 0
                && let Ok(n @ 1..) = rustix::io::read(&pipe, &mut chunk)
            {
                self.kept.take(stream, &chunk[..n]);
                left = left.saturating_sub(n as u64);
            }
            *self.pipe(stream) = Some(pipe);
        }
    }

    /// Returns what was read, once the command has ended. If helpers still hold the pipes open, these are read until they
    /// close, provided that `of_container` has a permit.
    pub fn finish(self, of_container: &Arc<Semaphore>) -> Kept {
        let Self { stdout, stderr, kept } = self;
        if stdout.is_some() || stderr.is_some() {
            read_on(of_container, stdout, stderr);
        }
        kept
    }

    /// Whether both streams have ended.
    pub fn ended(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    fn pipe(&mut self, stream: Stream) -> &mut Option<Receiver> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

fn pipe() -> Result<(Receiver, OwnedFd)> {
    let failed = |e: std::io::Error| Error::internal(format!("make a pipe: {e}"));
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    rustix::io::ioctl_fionbio(&reader, true).map_err(|e| failed(e.into()))?;
    Ok((Receiver::from_owned_fd(reader).map_err(failed)?, writer))
}

async fn readable(pipe: Option<&Receiver>) {
    match pipe {
        // An error will show at the read.
        Some(pipe) => drop(pipe.readable().await),
        None => pending().await,
    }
}

fn read_on(of_container: &Arc<Semaphore>, stdout: Option<Receiver>, stderr: Option<Receiver>) {
    let (Ok(own), Ok(all)) = (of_container.clone().try_acquire_owned(), ALL.try_acquire()) else {
        tracing::warn!(
            "a background process of a command loses its output: {MOST_HELPERS} others of its container or \
             {MOST_OF_ALL} of the node are already being read, and its next write will end it"
        );
        return;
    };
    tokio::spawn(async move {
        tokio::join!(drop_all(stdout), drop_all(stderr));
        drop((own, all));
    });
}

/// Reads a pipe to its end, at a bounded rate.
async fn drop_all(pipe: Option<Receiver>) {
    let Some(pipe) = pipe else { return };
    while pipe.readable().await.is_ok() && drop_some(&pipe) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Drops what is in a pipe, up to a bound; false at its end.
fn drop_some(pipe: &Receiver) -> bool {
    let (mut chunk, mut dropped) = ([0; CHUNK], 0);
    while dropped < DROPPED_AT_ONCE {
        match pipe.try_read(&mut chunk) {
            Ok(n) if n > 0 => dropped += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a write succeeds without SIGPIPE; the pipe may be full.
    fn says(writer: &OwnedFd) -> bool {
        rustix::io::write(writer, b"word") != Err(rustix::io::Errno::PIPE)
    }

    #[tokio::test]
    async fn a_helper_is_read_on_when_there_is_room_for_it_and_its_end_makes_room() {
        let room = Arc::new(Semaphore::new(1));
        let (mut first, [helper, stderr]) = Streams::make().expect("pipes");
        drop(stderr);
        assert!(says(&helper));
        first.take_what_is_there();
        assert_eq!(first.finish(&room).finish(), (b"word".to_vec(), Vec::new()));
        let (second, refused) = Streams::make().expect("pipes");
        second.finish(&room);
        assert!(says(&helper), "read on");
        assert!(refused.iter().all(|writer| !says(writer)), "one too many");
        drop(helper);
        let freed = tokio::time::timeout(Duration::from_secs(20), room.acquire()).await;
        assert!(freed.is_ok(), "its reader is gone");
    }

    #[tokio::test]
    async fn all_that_is_in_the_pipes_is_taken_in_without_a_wait() {
        let (mut streams, [stdout, stderr]) = Streams::make().expect("pipes");
        // The capacity of a pipe: nobody reads.
        assert_eq!(rustix::io::write(&stdout, &[b'o'; 65_536]), Ok(65_536));
        assert_eq!(rustix::io::write(&stderr, b"e"), Ok(1));
        streams.take_what_is_there();
        streams.take_what_is_there();
        let (out, err) = streams.finish(&Arc::new(Semaphore::new(1))).finish();
        assert_eq!((out.len(), err.as_slice()), (65_536, &b"e"[..]));
    }
}
