// SPDX-License-Identifier: Apache-2.0
//! The copy loops between a client's streams and a process's descriptors.

use super::inlet::Inlet;
use super::link::Link;
use super::outlet::Outlet;
use super::pipes::{self, Descriptor};
use std::future::pending;
use std::sync::Arc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Which side ended an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// The process closed it, or it never existed.
    Process,
    /// The client does not want more, or has disconnected.
    Client,
}

/// Copies an output until its end, until the client does not want more of it, or until it is quiet after the exit.
pub(super) async fn output(
    link: &Link,
    fd: Option<Arc<Descriptor>>,
    to: Option<&Outlet<'_>>,
    exited: &CancellationToken,
) -> EndedBy {
    let (Some(fd), Some(to)) = (fd, to) else { return EndedBy::Process };
    let ended_by = tokio::select! {
        biased;
        () = to.closed() => EndedBy::Client,
        ended_by = copy_out(link, &fd, to, exited) => ended_by,
    };
    // The client closed only the output of a terminal, whose input is still in use.
    if to.is_closed() && Arc::strong_count(&fd) > 1 {
        discard(&fd).await;
    }
    ended_by
}

async fn copy_out(link: &Link, fd: &Descriptor, to: &Outlet<'_>, exited: &CancellationToken) -> EndedBy {
    loop {
        let mut ready = tokio::select! {
            biased;
            ready = fd.readable() => match ready { Ok(ready) => ready, Err(_) => return EndedBy::Process },
            () = quiet_after(exited, link) => return EndedBy::Process,
        };
        let Ok(room) = link.outbox.room().await else { return EndedBy::Client };
        let mut chunk = Vec::with_capacity(to.chunk());
        match pipes::read(&mut ready, &mut chunk) {
            None => {}
            Some(Ok(0) | Err(_)) => return EndedBy::Process,
            Some(Ok(_)) => {
                link.data_moved();
                to.send(chunk, room);
            }
        }
    }
}

async fn quiet_after(exited: &CancellationToken, link: &Link) {
    exited.cancelled().await;
    sleep(link.config.drain).await;
}

/// Reads a terminal whose output nobody wants any more, so that its process does not block.
async fn discard(fd: &Descriptor) {
    let mut chunk = Vec::with_capacity(4096);
    while let Ok(mut ready) = fd.readable().await {
        chunk.clear();
        if let Some(Ok(0) | Err(_)) = pipes::read(&mut ready, &mut chunk) {
            return;
        }
    }
}

/// Copies stdin until the client ends it, then closes it. When the process stops reading, the rest is dropped.
pub(super) async fn input(link: &Link, from: Option<&Inlet>, fd: Option<Arc<Descriptor>>) {
    let Some(from) = from else { return pending().await };
    let Some(fd) = fd else {
        from.discard();
        return at_end(from).await;
    };
    while let Some(bytes) = from.next().await {
        if pipes::write_all(&fd, &bytes, || link.data_moved()).await.is_err() {
            from.discard();
            drop(fd);
            return at_end(from).await;
        }
    }
}

async fn at_end(from: &Inlet) {
    while from.next().await.is_some() {}
}
