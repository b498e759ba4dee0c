// SPDX-License-Identifier: Apache-2.0
//! Frames with descriptors over a tokio unix stream.

use crate::error::{Error, Kind, Result};
use gorae_proto::frame;
use gorae_proto::shim::Frame;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Most descriptors in one frame: stdin, stdout, stderr, and room for one more.
const MAX_FDS: usize = 4;
/// One read; replies are small, so this is nearly always a whole frame.
const READ_BYTES: usize = 4096;
/// How long a live shim may take to accept a connection: it does nothing that blocks.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// Connects to `run_dir/shim.sock`.
///
/// The path goes through a descriptor of the directory, because socket addresses are limited to 108 bytes and
/// state directories are not.
///
/// # Errors
/// `NotFound` when there is no socket or nobody listens, `Unavailable` on the deadline.
pub(super) async fn connect(run_dir: &Path) -> Result<UnixStream> {
    let failed = |e: std::io::Error| {
        let kind = match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Kind::NotFound,
            _ => Kind::Unavailable,
        };
        Error::new(kind, format!("connect to {}/shim.sock: {e}", run_dir.display()))
    };
    let dir = std::fs::File::open(run_dir).map_err(failed)?;
    let path = format!("/proc/self/fd/{}/shim.sock", dir.as_raw_fd());
    match tokio::time::timeout(CONNECT_DEADLINE, UnixStream::connect(path)).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Sends one frame; `fds` travel with its first byte.
///
/// - Cancel: in the middle of a frame it ends the connection, which would be out of step.
///
/// # Errors
/// `Unavailable` when the other end is gone.
pub(super) async fn send(stream: &UnixStream, frame: &Frame, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let bytes = frame::encode(frame).map_err(|e| Error::invalid(e.to_string()))?;
    let mut progress = Progress { stream, sent: 0, len: bytes.len() };
    while progress.sent < progress.len {
        stream.writable().await.map_err(broken)?;
        let (rest, with) = (&bytes[progress.sent..], if progress.sent == 0 { fds } else { &[] });
        match stream.try_io(Interest::WRITABLE, || send_once(stream, rest, with)) {
            Ok(n) => progress.sent += n,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(broken(e)),
        }
    }
    Ok(())
}

/// Ends the connection when a frame is given up half-way: what came next would be read as the rest of it.
struct Progress<'a> {
    stream: &'a UnixStream,
    sent: usize,
    len: usize,
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.sent > 0 && self.sent < self.len {
            let _ = rustix::net::shutdown(self.stream.as_fd(), rustix::net::Shutdown::Both);
        }
    }
}

fn send_once(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> std::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    Ok(rustix::net::sendmsg(stream.as_fd(), &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

fn broken(e: std::io::Error) -> Error {
    Error::new(Kind::Unavailable, format!("connection to the shim: {e}"))
}

/// Collects bytes and descriptors until a frame is whole.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Reader {
    /// The next frame; `None` at the end of the stream.
    ///
    /// # Errors
    /// `Internal` when the bytes are no frame.
    pub(super) async fn next(&mut self, stream: &UnixStream) -> Result<Option<(Frame, Vec<OwnedFd>)>> {
        loop {
            if let Some(frame) = frame::decode(&mut self.bytes).map_err(|e| Error::internal(e.to_string()))? {
                if self.bytes.is_empty() {
                    self.bytes.shrink_to(0);
                }
                return Ok(Some((frame, std::mem::take(&mut self.fds))));
            }
            stream.readable().await.map_err(broken)?;
            match stream.try_io(Interest::READABLE, || self.read_once(stream)) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(broken(e)),
            }
        }
    }

    fn read_once(&mut self, stream: &UnixStream) -> std::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut chunk = [0u8; READ_BYTES];
        let mut into = [IoSliceMut::new(&mut chunk)];
        let n = rustix::net::recvmsg(stream.as_fd(), &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        self.bytes.extend_from_slice(&chunk[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::shim::{Exec, Request, frame::Body, request::Verb};

    #[tokio::test]
    async fn a_frame_that_is_cut_off_ends_the_connection() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let verb = Verb::Exec(Exec { args: vec![vec![b'a'; 4 << 20]], ..Exec::default() });
        let frame = Frame { body: Some(Body::Request(Request { id: 1, verb: Some(verb) })) };
        let sending = send(&ours, &frame, &[]);
        assert!(tokio::time::timeout(Duration::from_millis(50), sending).await.is_err(), "nobody reads");
        let read = tokio::time::timeout(Duration::from_secs(5), async { Reader::default().next(&theirs).await });
        assert!(read.await.expect("the connection has ended").expect("end").is_none());
    }
}
