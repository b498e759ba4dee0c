// SPDX-License-Identifier: Apache-2.0
//! GetContainerEvents: every change of a pod or container, with the state of the whole pod after the change.
//!
//! Events are made where the state changes, in the order of the changes, and go through one bounded channel. A client that
//! reads too slowly loses the oldest ones. It gets an error and lists again; nothing waits for it.
//!
//! A state change and its event are published under one lock, the [`Transaction`]. Anything that the change triggers is
//! therefore reported after it, and events never show stale pod state.

use crate::clock;
use crate::container::{self, Container};
use crate::ids::PodId;
use crate::objects::Objects;
use crate::pod::{self, Pod};
use gorae_proto::cri::{ContainerEventResponse, ContainerEventType, PodSandboxStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// The backlog of a slow client, in events: some seconds of a busy node.
const BACKLOG: usize = 1024;

/// The node's events, and the clients that subscribe to them.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<ContainerEventResponse>,
    order: Mutex<()>,
    objects: Arc<Objects>,
}

impl Events {
    /// Makes the events of these objects.
    pub fn new(objects: Arc<Objects>) -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), order: Mutex::default(), objects }
    }

    /// Subscribes to the events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<ContainerEventResponse> {
        self.sender.subscribe()
    }

    /// Locks out other changes until this change and its event are made. Never hold it across an await.
    pub fn transaction(&self) -> Transaction<'_> {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        Transaction { sender: &self.sender, objects: &self.objects, _order: order }
    }
}

/// A state change in progress; see [`Events::transaction`].
#[derive(Debug)]
pub struct Transaction<'a> {
    sender: &'a broadcast::Sender<ContainerEventResponse>,
    objects: &'a Objects,
    _order: MutexGuard<'a, ()>,
}

impl Transaction<'_> {
    /// A pod became ready: it was created, then started.
    pub fn pod_started(&self, pod: &Pod) {
        self.send(pod.id(), pod.id(), ContainerEventType::ContainerCreatedEvent);
        self.send(pod.id(), pod.id(), ContainerEventType::ContainerStartedEvent);
    }

    /// A pod was stopped.
    pub fn pod_stopped(&self, pod: &Pod) {
        self.send(pod.id(), pod.id(), ContainerEventType::ContainerStoppedEvent);
    }

    /// A pod is about to disappear.
    pub fn pod_deleted(&self, pod: &Pod) {
        self.send(pod.id(), pod.id(), ContainerEventType::ContainerDeletedEvent);
    }

    /// A container was created.
    pub fn container_created(&self, container: &Container) {
        self.of_container(container, ContainerEventType::ContainerCreatedEvent);
    }

    /// A container runs.
    pub fn container_started(&self, container: &Container) {
        self.of_container(container, ContainerEventType::ContainerStartedEvent);
    }

    /// A container has ended.
    pub fn container_stopped(&self, container: &Container) {
        self.of_container(container, ContainerEventType::ContainerStoppedEvent);
    }

    /// A container has disappeared: the event shows the pod without it.
    pub fn container_deleted(&self, container: &Container) {
        self.of_container(container, ContainerEventType::ContainerDeletedEvent);
    }

    fn of_container(&self, container: &Container, kind: ContainerEventType) {
        let record = container.record();
        self.send(&record.pod_id, &record.id, kind);
    }

    fn send(&self, pod_id: &PodId, subject: &str, kind: ContainerEventType) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        // The time is taken before the statuses, as in PodSandboxStatus: newer data never has an earlier time.
        let created_at = clock::unique_ns();
        let pod_status: Option<PodSandboxStatus> = self.objects.pods.get(pod_id).map(|p| pod::view::status(&p));
        let containers = self.objects.of_pod(pod_id);
        let event = ContainerEventResponse {
            container_id: subject.to_owned(),
            container_event_type: kind.into(),
            created_at,
            pod_sandbox_status: pod_status,
            containers_statuses: containers.iter().map(|c| container::view::status(c)).collect(),
        };
        // Fails only if the last client has just gone away.
        let _ = self.sender.send(event);
    }
}
