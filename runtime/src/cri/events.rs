// SPDX-License-Identifier: Apache-2.0
//! GetContainerEvents: the node's events as a stream, and what is lost of them on the way to slow clients.

use super::lists::Items;
use gorae_node::events::Events;
use gorae_proto::cri::ContainerEventResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
use tonic::Status;

/// Events that clients did not get because they read too slowly, since the daemon's start. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Losses(Arc<AtomicU64>);

impl Losses {
    /// So many more.
    fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The events from now on. A client that reads too slowly is told so, and lists again.
pub fn follow(events: &Events, losses: Losses) -> Items<ContainerEventResponse> {
    let stream = BroadcastStream::new(events.subscribe()).map(move |event| {
        event.map_err(|Lagged(lost)| {
            losses.add(lost);
            Status::resource_exhausted(format!("the client is too slow and lost {lost} events; list again"))
        })
    });
    Box::pin(stream)
}
