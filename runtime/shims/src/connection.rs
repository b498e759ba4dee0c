// SPDX-License-Identifier: Apache-2.0
//! One connection to one container's shim: requests get their replies, pushes become [`ShimEvent`]s.
//!
//! A task reads the socket until it ends. Replies are matched by id, so verbs do not wait for each other. The reader
//! itself registers for the end of an exec, before the caller learns the exec's number, so that no exit is missed.

use crate::deadline::VERB_DEADLINE;
use crate::error::{Error, Result};
use crate::socket;
use gorae_proto::shim::{
    ContainerState, EndExec, ExecExited, Frame, Push, Reply, Request, frame::Body, push, reply, request::Verb,
};
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

/// The exit of an exec that was started. When it is dropped unclaimed, the exec is ended: the caller went away while the
/// shim replied, and nobody else knows the exec's number.
#[derive(Debug)]
pub struct ExecExit {
    shim: Shim,
    exec: u64,
    receiver: Option<oneshot::Receiver<ExecExited>>,
}

impl ExecExit {
    /// Hands the exec over to the caller. The receiver resolves when the exec has exited, or with an error when the shim
    /// goes away first.
    pub fn claim(mut self) -> oneshot::Receiver<ExecExited> {
        self.receiver.take().unwrap_or_else(|| oneshot::channel().1)
    }
}

impl Drop for ExecExit {
    fn drop(&mut self) {
        let (Some(_), Ok(runtime)) = (&self.receiver, tokio::runtime::Handle::try_current()) else { return };
        let (shim, exec) = (self.shim.clone(), self.exec);
        runtime.spawn(async move { shim.call(Verb::EndExec(EndExec { exec })).await });
    }
}

/// How many events of a shim may be queued. A container's life has a handful; a reader that is behind makes its shim wait.
pub const QUEUED_EVENTS: usize = 32;

/// A message that a shim pushes.
#[derive(Debug)]
pub enum ShimEvent {
    /// The container's state changed; the shim's record on disk already holds the same state.
    State(Box<ContainerState>),
    /// The connection ended. After the container's exit this is normal; before it, the shim is dead.
    Gone,
}

/// A reply and what came with it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body; never a failure.
    pub(crate) body: reply::Body,
    /// Descriptors that came with the frame.
    pub(crate) fds: Vec<OwnedFd>,
    /// Set when the body is `ExecStarted`.
    pub(crate) exit: Option<ExecExit>,
}

/// A connection to a shim. Clones share it.
#[derive(Debug, Clone)]
pub struct Shim {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stream: UnixStream,
    writing: AsyncMutex<()>,
    next_id: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    closed: bool,
    replies: HashMap<u64, oneshot::Sender<Result<Answer>>>,
    execs: HashMap<u64, oneshot::Sender<ExecExited>>,
}

impl Shim {
    /// Takes over a connected socket. Events are sent to `events`, [`ShimEvent::Gone`] last.
    pub fn new(stream: UnixStream, events: mpsc::Sender<ShimEvent>) -> Self {
        let shared = Arc::new(Shared {
            stream,
            writing: AsyncMutex::new(()),
            next_id: AtomicU64::new(1),
            waiting: Mutex::default(),
        });
        tokio::spawn(read_until_end(shared.clone(), events));
        Self { shared }
    }

    /// Connects to the shim that listens in `run_dir`.
    ///
    /// # Errors
    /// [`Error::NotThere`] when nothing listens; [`Error::Gone`] when the shim does not accept the connection.
    pub async fn connect(run_dir: &Path, events: mpsc::Sender<ShimEvent>) -> Result<Self> {
        Ok(Self::new(socket::connect(run_dir, socket::SHIM).await?, events))
    }

    /// Sends one request and waits for its reply.
    ///
    /// - Cancel: the shim may still carry out the request.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::TimedOut`] after `deadline`; [`Error::Gone`] when the shim has ended.
    pub(crate) async fn call_within(&self, verb: Verb, fds: &[BorrowedFd<'_>], deadline: Duration) -> Result<Answer> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let _expected = self.shared.expect(id, sender)?;
        let frame = Frame { body: Some(Body::Request(Request { id, verb: Some(verb) })) };
        let answer = async {
            {
                let _turn = self.shared.writing.lock().await;
                socket::send(&self.shared.stream, &frame, fds).await?;
            }
            receiver.await.unwrap_or_else(|_| Err(gone()))
        };
        let too_late = |_| Error::TimedOut(format!("the container's shim did not answer within {deadline:?}"));
        tokio::time::timeout(deadline, answer).await.map_err(too_late)?
    }

    /// [`Self::call_within`] with [`VERB_DEADLINE`] and no descriptors.
    ///
    /// # Errors
    /// As [`Self::call_within`].
    pub(crate) async fn call(&self, verb: Verb) -> Result<Answer> {
        self.call_within(verb, &[], VERB_DEADLINE).await
    }

    /// Ends the connection, as if the shim had.
    pub(crate) fn close(&self) {
        // Fails only if the shim has ended it already.
        let _ = rustix::net::shutdown(&self.shared.stream, rustix::net::Shutdown::Both);
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

/// A reply that a caller waits for. Dropped when the caller has it, or gave up: a shim that hangs must not make the
/// table grow.
struct Expected<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.shared.lock().replies.remove(&self.id);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, id: u64, sender: oneshot::Sender<Result<Answer>>) -> Result<Expected<'_>> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(gone());
        }
        waiting.replies.insert(id, sender);
        Ok(Expected { shared: self, id })
    }

    fn deliver(self: &Arc<Self>, reply: Reply, fds: Vec<OwnedFd>) {
        let mut waiting = self.lock();
        let exit = match &reply.body {
            Some(reply::Body::ExecStarted(started)) => {
                let (sender, receiver) = oneshot::channel();
                waiting.execs.insert(started.exec, sender);
                Some(ExecExit { shim: Shim { shared: self.clone() }, exec: started.exec, receiver: Some(receiver) })
            }
            _ => None,
        };
        let Some(sender) = waiting.replies.remove(&reply.id) else { return };
        drop(waiting);
        let answer = match reply.body {
            Some(reply::Body::Failure(failure)) => Err(Error::Refused(failure)),
            Some(body) => Ok(Answer { body, fds, exit }),
            None => Err(Error::Broken("the shim's reply is empty".to_owned())),
        };
        // When the caller has given up, the answer is dropped, and an exec in it is ended.
        let _ = sender.send(answer);
    }
}

fn gone() -> Error {
    Error::Gone("the container's shim has ended".to_owned())
}

async fn read_until_end(shared: Arc<Shared>, events: mpsc::Sender<ShimEvent>) {
    let mut reader = socket::Reader::default();
    loop {
        let (frame, fds) = match reader.next(&shared.stream).await {
            Ok(Some(received)) => received,
            Ok(None) => break,
            Err(error) => {
                tracing::error!(%error, "a shim sent bytes that are not a frame; closing its connection");
                break;
            }
        };
        match frame.body {
            Some(Body::Reply(reply)) => shared.deliver(reply, fds),
            Some(Body::Push(Push { body: Some(push::Body::State(state)) })) => {
                let _ = events.send(ShimEvent::State(Box::new(state))).await;
            }
            Some(Body::Push(Push { body: Some(push::Body::ExecExited(exited)) })) => {
                if let Some(sender) = shared.lock().execs.remove(&exited.exec) {
                    let _ = sender.send(exited);
                }
            }
            _ => {}
        }
    }
    {
        let mut waiting = shared.lock();
        waiting.closed = true;
        waiting.replies.clear();
        waiting.execs.clear();
    }
    let _ = events.send(ShimEvent::Gone).await;
}
