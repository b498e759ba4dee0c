// SPDX-License-Identifier: Apache-2.0
//! One upgraded connection, from its upgrade to its close: a reader, a writer and a session run concurrently.

use super::intake::Intake;
use super::link::{LINGER_AT_SHUTDOWN, Link};
use crate::socket::{self, Socket, WriteHalf};
use bytes::Bytes;
use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the last frames may take after the session's end: a client that does not read loses them.
const LAST_WRITES: Duration = Duration::from_secs(30);

/// A connection as HTTP leaves it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client's socket.
    pub(crate) stream: Socket,
    /// Bytes that were read past the request.
    pub(crate) leftover: Bytes,
}

impl Connection {
    /// Separates the two directions.
    pub(crate) fn split(self) -> (Intake, WriteHalf) {
        let (reader, writer) = socket::split(self.stream);
        (Intake::new(reader, self.leftover), writer)
    }
}

/// Runs the reader, the writer and the session of a connection until the session is over and everything is written, or
/// until the client has left the rest unread for half a minute or has vanished.
///
/// When the reader returns, the client has disconnected or has violated the protocol.
pub(crate) async fn drive(
    link: &Link,
    socket: &mut WriteHalf,
    reader: impl Future<Output = ()>,
    session: impl Future<Output = ()>,
) {
    let reader = async {
        reader.await;
        link.gone.cancel();
        pending().await
    };
    let over = CancellationToken::new();
    let session = async {
        session.await;
        over.cancel();
    };
    let work = async { tokio::join!(session, write(link, socket, &over)) };
    let (reader, work) = (pin!(reader), pin!(work));
    tokio::select! {
        _ = work => {}
        () = reader => {}
    }
}

/// Writes frames up to the last one, or until the client is lost.
async fn write(link: &Link, socket: &mut WriteHalf, over: &CancellationToken) {
    let late = async {
        over.cancelled().await;
        sleep(LAST_WRITES).await;
    };
    let written = tokio::select! {
        written = link.outbox.write_to(socket) => written.is_ok(),
        () = late => false,
        () = link.peer_vanished() => false,
    };
    if !written {
        link.outbox.fail();
        link.gone.cancel();
    }
}

/// Ends a connection: ends our direction, then gives the client a short time to notice and close.
pub(crate) async fn close(link: &Link, intake: Intake, mut socket: WriteHalf) {
    let drain = async {
        socket.shutdown().await?;
        intake.drain(link).await?;
        io::Result::Ok(())
    };
    // The connection is over whether this fails or not; both halves are dropped.
    let _ = timeout(LINGER_AT_SHUTDOWN, drain).await;
}
