// SPDX-License-Identifier: Apache-2.0
//! One socket to a daemon: frames in and out, with descriptors.
//!
//! A frame is read in two steps: first its four length bytes, then exactly its body. Received descriptors travel on the
//! first byte of a frame, so they always belong to the frame that is being read. Idle connections hold no buffer.

use crate::wire::{Frame, Push, Reply, Request, frame, push, reply};
use gorae_proto::frame::{self as framing, FrameError, MAX_FRAME};
use prost::Message;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most descriptors with one frame: enough for the mounts of all cgroup hierarchies.
pub const MAX_DESCRIPTORS: usize = 32;

/// The most bytes queued for a daemon that does not read; beyond that the connection is dropped.
const MAX_OUTBOX: usize = 1 << 20;

/// A request with the descriptors that came with it.
#[derive(Debug)]
pub struct Incoming {
    /// The daemon's request.
    pub request: Request,
    /// Its descriptors, in the order they were sent; close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Why a connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The other side closed it, between two frames.
    #[error("the daemon closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("socket to the daemon")]
    Socket(#[from] io::Error),
    /// The bytes are not frames.
    #[error("socket to the daemon")]
    Frame(#[from] FrameError),
    /// A frame that is not a request.
    #[error("the daemon sent a frame that is not a request")]
    NotRequest,
    /// The daemon does not read its replies.
    #[error("the daemon does not read its replies: {0} bytes are queued")]
    Stuck(usize),
}

/// A stream socket to one daemon.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    header: [u8; 4],
    have: usize,
    body: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    outbox: VecDeque<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

impl Connection {
    /// Wraps a connected unix stream socket.
    pub fn new(socket: OwnedFd) -> Self {
        let (body, descriptors, outbox) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { socket, header: [0; 4], have: 0, body, descriptors, outbox }
    }

    /// Waits for one whole request. The socket must be in blocking mode.
    ///
    /// # Errors
    /// [`ConnectionError::Closed`] when the daemon closes the connection first.
    pub fn receive(&mut self) -> Result<Incoming, ConnectionError> {
        loop {
            if let Some(incoming) = self.step(RecvFlags::empty())? {
                return Ok(incoming);
            }
        }
    }

    /// Returns one complete request if it has arrived; `None` when more bytes are needed.
    ///
    /// # Errors
    /// See [`ConnectionError`]; the connection cannot be used any more.
    pub fn try_receive(&mut self) -> Result<Option<Incoming>, ConnectionError> {
        loop {
            match self.step(RecvFlags::DONTWAIT) {
                Ok(Some(incoming)) => return Ok(Some(incoming)),
                Ok(None) => {}
                Err(ConnectionError::Socket(e)) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// One recvmsg: the rest of the header, or more of the body.
    fn step(&mut self, flags: RecvFlags) -> Result<Option<Incoming>, ConnectionError> {
        let target = if self.have < 4 { &mut self.header[self.have..] } else { &mut self.body[self.have - 4..] };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let received = match recvmsg(&self.socket, &mut [IoSliceMut::new(target)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => return Ok(None),
            other => other.map_err(io::Error::from)?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                self.descriptors.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Err(ConnectionError::Closed);
        }
        self.have += received.bytes;
        if self.have == 4 {
            let len = u32::from_le_bytes(self.header) as usize;
            if len > MAX_FRAME {
                return Err(FrameError::TooLong(len).into());
            }
            self.body = vec![0; len];
        }
        if self.have < 4 || self.have - 4 < self.body.len() { Ok(None) } else { self.take().map(Some) }
    }

    /// Decodes the complete body and resets the state for the next frame.
    fn take(&mut self) -> Result<Incoming, ConnectionError> {
        self.have = 0;
        let body = std::mem::take(&mut self.body);
        let frame = Frame::decode(&body[..]).map_err(|e| FrameError::Malformed(e.to_string()))?;
        let Some(frame::Body::Request(request)) = frame.body else { return Err(ConnectionError::NotRequest) };
        Ok(Incoming { request, descriptors: std::mem::take(&mut self.descriptors) })
    }

    /// Sends the reply to request `id`, and waits until it is sent.
    ///
    /// # Errors
    /// See [`ConnectionError`]; the connection cannot be used any more.
    pub fn reply(&mut self, id: u64, body: reply::Body, descriptors: Vec<OwnedFd>) -> Result<(), ConnectionError> {
        self.queue_reply(id, body, descriptors)?;
        while self.has_output() {
            self.send_some(SendFlags::empty())?;
        }
        Ok(())
    }

    /// Queues the reply to request `id` and sends what it can without blocking.
    ///
    /// # Errors
    /// [`ConnectionError::Stuck`] when too much is queued; otherwise [`ConnectionError::Socket`], or
    /// [`ConnectionError::Frame`] for a reply that is too large.
    pub fn queue_reply(&mut self, id: u64, body: reply::Body, fds: Vec<OwnedFd>) -> Result<(), ConnectionError> {
        self.queue(frame::Body::Reply(Reply { id, body: Some(body) }), fds)
    }

    /// Queues a push message and sends what it can without blocking.
    ///
    /// # Errors
    /// As [`Self::queue_reply`].
    pub fn queue_push(&mut self, body: push::Body) -> Result<(), ConnectionError> {
        self.queue(frame::Body::Push(Push { body: Some(body) }), Vec::new())
    }

    fn queue(&mut self, body: frame::Body, descriptors: Vec<OwnedFd>) -> Result<(), ConnectionError> {
        let waiting: usize = self.outbox.iter().map(|o| o.bytes.len() - o.sent).sum();
        if waiting > MAX_OUTBOX {
            return Err(ConnectionError::Stuck(waiting));
        }
        let bytes = framing::encode(&Frame { body: Some(body) })?;
        self.outbox.push_back(Outgoing { bytes, sent: 0, descriptors });
        self.flush()
    }

    /// Sends what it can without blocking; the rest stays in the outbox.
    ///
    /// # Errors
    /// [`ConnectionError::Socket`]; the connection cannot be used any more.
    pub fn flush(&mut self) -> Result<(), ConnectionError> {
        while self.has_output() {
            match self.send_some(SendFlags::DONTWAIT) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Whether output is queued: the socket must then be watched for writing.
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    fn send_some(&mut self, flags: SendFlags) -> io::Result<()> {
        let Some(out) = self.outbox.front_mut() else { return Ok(()) };
        let rights: Vec<BorrowedFd<'_>> = out.descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !rights.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&rights)) {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let sent = match sendmsg(
            &self.socket,
            &[IoSlice::new(&out.bytes[out.sent..])],
            &mut control,
            flags | SendFlags::NOSIGNAL,
        ) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other?,
        };
        // The receiver owns them as soon as the first byte is sent.
        out.descriptors.clear();
        out.sent += sent;
        if out.sent == out.bytes.len() {
            self.outbox.pop_front();
        }
        if self.outbox.is_empty() {
            self.outbox = VecDeque::new();
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
