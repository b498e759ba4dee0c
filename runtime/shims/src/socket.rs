// SPDX-License-Identifier: Apache-2.0
//! Frames with descriptors over a tokio unix stream.

use crate::error::{Error, Result};
use gorae_proto::frame::{self, FrameError, MAX_FRAME};
use gorae_proto::shim::Frame;
use prost::Message;
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

/// Largest number of descriptors in one frame: the mounts of all cgroup hierarchies.
const MAX_FDS: usize = 32;
/// Size of the length prefix of a frame, in bytes.
const HEADER: usize = 4;
/// Time limit for a live shim to accept a connection: it does nothing that blocks.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// The name of a container's socket in its run directory.
pub(super) const SHIM: &str = "shim.sock";
/// The name of the name server's socket in the state directory.
pub(super) const NAMES: &str = "names.sock";

/// Connects to the socket of this name in a directory.
///
/// The path goes through a descriptor of the directory, because a socket address has at most 108 bytes and a state
/// directory may have more.
///
/// # Errors
/// [`Error::NotThere`] when there is no socket or nothing listens; [`Error::Gone`] on the deadline.
pub(super) async fn connect(run_dir: &Path, socket: &str) -> Result<UnixStream> {
    let failed = |e: std::io::Error| {
        let text = format!("connect to {}/{socket}: {e}", run_dir.display());
        match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Error::NotThere(text),
            _ => Error::Gone(text),
        }
    };
    let dir = std::fs::File::open(run_dir).map_err(failed)?;
    let path = format!("/proc/self/fd/{}/{socket}", dir.as_raw_fd());
    match tokio::time::timeout(CONNECT_DEADLINE, UnixStream::connect(path)).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Sends one frame; `fds` travel with its first byte.
///
/// - Cancel: in the middle of a frame this ends the connection, because the next frame would be read as the rest of this
///   one.
///
/// # Errors
/// [`Error::Gone`] when the other end has closed; [`Error::TooLarge`].
pub(super) async fn send(stream: &UnixStream, frame: &Frame, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let bytes = frame::encode(frame).map_err(|e| Error::TooLarge(e.to_string()))?;
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

/// Ends the connection when a frame is abandoned half-way.
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
    Error::Gone(format!("connection to the shim: {e}"))
}

fn not_a_frame(e: &FrameError) -> Error {
    Error::Broken(e.to_string())
}

/// Reads one frame at a time: its four length bytes, then exactly its body.
///
/// Descriptors travel with a frame's first byte, and the kernel delivers them with that byte. A read that ran into the
/// next frame would deliver that frame's descriptors too, and it would be unclear which frame they belong to.
#[derive(Debug, Default)]
pub(super) struct Reader {
    header: [u8; HEADER],
    have: usize,
    body: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Reader {
    /// Returns the next frame with its descriptors; `None` at the end of the stream.
    ///
    /// # Errors
    /// [`Error::Broken`] when the bytes are not a frame.
    pub(super) async fn next(&mut self, stream: &UnixStream) -> Result<Option<(Frame, Vec<OwnedFd>)>> {
        loop {
            match stream.try_io(Interest::READABLE, || self.read_once(stream)) {
                Ok(0) => return Ok(None),
                Ok(_) if self.is_whole()? => return self.take().map(Some),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => stream.readable().await.map_err(broken)?,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(broken(e)),
            }
        }
    }

    /// Reads once: the rest of the header, or more of the body.
    fn read_once(&mut self, stream: &UnixStream) -> std::io::Result<usize> {
        let target = match self.have {
            0..HEADER => &mut self.header[self.have..],
            _ => &mut self.body[self.have - HEADER..],
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(target)];
        let n = rustix::net::recvmsg(stream.as_fd(), &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        self.have += n;
        Ok(n)
    }

    /// Whether the last read completed the frame. After the read that completes the header, it allocates the body.
    fn is_whole(&mut self) -> Result<bool> {
        if self.have == HEADER {
            let len = u32::from_le_bytes(self.header) as usize;
            if len > MAX_FRAME {
                return Err(not_a_frame(&FrameError::TooLong(len)));
            }
            self.body = vec![0; len];
        }
        Ok(self.have >= HEADER && self.have - HEADER == self.body.len())
    }

    fn take(&mut self) -> Result<(Frame, Vec<OwnedFd>)> {
        self.have = 0;
        // The buffer is not kept: most connections are idle.
        let body = std::mem::take(&mut self.body);
        let frame = Frame::decode(&body[..]).map_err(|e| not_a_frame(&FrameError::Malformed(e.to_string())))?;
        Ok((frame, std::mem::take(&mut self.fds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::shim::{
        Attached, Exec, ExecExited, Push, Reply, Request, frame::Body, push, reply, request::Verb,
    };

    fn exited(exec: u64) -> Frame {
        let exited = ExecExited { exec, ..ExecExited::default() };
        Frame { body: Some(Body::Push(Push { body: Some(push::Body::ExecExited(exited)) })) }
    }

    fn attached(id: u64) -> Frame {
        Frame { body: Some(Body::Reply(Reply { id, body: Some(reply::Body::Attached(Attached::default())) })) }
    }

    #[tokio::test]
    async fn descriptors_come_with_their_own_frame_however_many_frames_wait() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let file = std::fs::File::open("/dev/null").expect("a file");
        let sent = [(exited(1), 0), (attached(2), 1), (exited(3), 0), (attached(4), 3), (attached(5), 2)];
        for (frame, fds) in &sent {
            send(&ours, frame, &vec![file.as_fd(); *fds]).await.expect("there is room");
        }
        let mut reader = Reader::default();
        for (frame, fds) in sent {
            let (got, with) = reader.next(&theirs).await.expect("frames").expect("not the end");
            assert_eq!((got, with.len()), (frame, fds));
        }
        drop(ours);
        assert!(reader.next(&theirs).await.expect("the end").is_none());
    }

    #[tokio::test]
    async fn a_frame_is_read_in_whatever_pieces_it_comes_and_an_empty_one_too() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let wire = [frame::encode(&exited(1)), frame::encode(&Frame::default()), frame::encode(&exited(2))];
        let wire: Vec<u8> = wire.into_iter().flat_map(|bytes| bytes.expect("small")).collect();
        let reading = tokio::spawn(async move {
            let (mut reader, mut frames) = (Reader::default(), Vec::new());
            while let Some((frame, _)) = reader.next(&theirs).await.expect("frames") {
                frames.push(frame);
            }
            frames
        });
        ours.writable().await.expect("room");
        for byte in wire {
            assert_eq!(ours.try_write(&[byte]).expect("room"), 1);
            tokio::task::yield_now().await;
        }
        drop(ours);
        assert_eq!(reading.await.expect("read"), [exited(1), Frame::default(), exited(2)]);
    }

    #[tokio::test]
    async fn a_length_above_the_limit_is_refused_before_any_body() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        ours.writable().await.expect("room");
        ours.try_write(&(MAX_FRAME as u32 + 1).to_le_bytes()).expect("room");
        let error = Reader::default().next(&theirs).await.expect_err("too long");
        assert!(error.to_string().contains("above the limit"), "{error}");
    }

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
