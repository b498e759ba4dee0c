// SPDX-License-Identifier: Apache-2.0
//! GetContainerEvents: the node's events as a stream, and a count of those that slow clients miss.

use super::lists::Items;
use gorae_node::Events;
use gorae_proto::cri::ContainerEventResponse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
use tonic::Status;

/// Counts the events that clients missed because they read too slowly, since the daemon's start. Clones share the
/// count.
#[derive(Debug, Clone, Default)]
pub struct Losses(Arc<AtomicU64>);

impl Losses {
    /// Adds to the count.
    fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Streams the events from now on. A client that reads too slowly gets an error, and has to list again.
pub fn follow(events: &Events, losses: Losses) -> Items<ContainerEventResponse> {
    let stream = BroadcastStream::new(events.subscribe()).map(move |event| {
        event.map_err(|Lagged(lost)| {
            losses.add(lost);
            Status::resource_exhausted(format!("the client read too slowly and missed {lost} events; list again"))
        })
    });
    Box::pin(stream)
}
