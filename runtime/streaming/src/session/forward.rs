// SPDX-License-Identifier: Apache-2.0
//! One forwarded connection: bytes both ways between a client's stream and a port of a pod, with true half-close.

use super::inlet::Inlet;
use super::link::Link;
use super::outlet::Outlet;
use crate::backend::Backend;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long one direction may stay silent after the other has ended.
const HALF_CLOSED_SILENCE: Duration = Duration::from_secs(60);

/// Connects to a port of a pod. The error is shown to the user unchanged.
pub(crate) async fn dial(backend: &impl Backend, pod: &str, port: u16) -> Result<TcpStream, String> {
    let told = |cause: &str| format!("error forwarding port {port} to pod {pod}, uid : {cause}");
    let fd = backend.dial(pod, port).await.map_err(|status: Status| told(status.message()))?;
    watched(fd).map_err(|error| told(&error.to_string()))
}

fn watched(fd: OwnedFd) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::from(fd);
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream)?;
    // Forwarding also works without this option.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

struct Directions {
    half_closed: CancellationToken,
    moved: Mutex<Instant>,
}

/// Copies until both directions have ended, the client resets its stream, or a half-closed connection stays silent.
///
/// # Errors
/// Why the application's side of the connection broke. This is not a failure of forwarding.
pub(crate) async fn copy(link: &Link, from: &Inlet, to: &Outlet<'_>, app: TcpStream) -> io::Result<()> {
    let (read, write) = app.into_split();
    let directions = Directions { half_closed: CancellationToken::new(), moved: Mutex::new(Instant::now()) };
    let up = async {
        directions.up(link, from, write).await;
        Ok(())
    };
    let both = async { tokio::try_join!(up, directions.down(link, read, to)).map(|_| ()) };
    tokio::select! {
        result = both => result,
        () = to.closed() => Ok(()),
        () = directions.silence() => Ok(()),
    }
}

impl Directions {
    /// Copies from client to application. When the application has closed, the rest is dropped, and the other direction
    /// alone decides when the connection is over.
    async fn up(&self, link: &Link, from: &Inlet, mut app: OwnedWriteHalf) {
        while let Some(bytes) = from.next().await {
            if app.write_all(&bytes).await.is_err() {
                from.discard();
                break;
            }
            self.note(link);
        }
        // This fails only when the application has already closed.
        let _ = app.shutdown().await;
        self.half_closed.cancel();
    }

    async fn down(&self, link: &Link, app: OwnedReadHalf, to: &Outlet<'_>) -> io::Result<()> {
        loop {
            app.readable().await?;
            // Broken: the client is gone, and the whole session with it.
            let Ok(room) = link.outbox.room().await else { return Ok(()) };
            let mut chunk = Vec::with_capacity(to.chunk());
            match app.try_read_buf(&mut chunk) {
                Ok(0) => break,
                Ok(_) => {
                    self.note(link);
                    to.send(chunk, room);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        to.finish();
        self.half_closed.cancel();
        Ok(())
    }

    fn note(&self, link: &Link) {
        link.data_moved();
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn silence(&self) {
        self.half_closed.cancelled().await;
        let closed = Instant::now();
        loop {
            let last = (*self.moved.lock().unwrap_or_else(PoisonError::into_inner)).max(closed);
            if Instant::now() >= last + HALF_CLOSED_SILENCE {
                return;
            }
            sleep_until(last + HALF_CLOSED_SILENCE).await;
        }
    }
}
