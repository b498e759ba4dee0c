// SPDX-License-Identifier: Apache-2.0
//! GetContainerEvents: every change of a pod or container, with the whole pod as it is after the change.
//!
//! Events are made where the state changes, in that order, and go through one bounded channel. A client that reads
//! too slowly loses the oldest ones, is told so, and lists again; nothing waits for it.
//!
//! A change and its event are made in one [`Transaction`]: who acts on the change tells his own only after it, and no later event
//! shows an older pod.

use crate::clock;
use crate::container::{self, Container};
use crate::ids::PodId;
use crate::objects::Objects;
use crate::pod::{self, Pod};
use gorae_proto::cri::{ContainerEventResponse, ContainerEventType, PodSandboxStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Events that a slow client may be behind: some seconds of a busy node.
const BACKLOG: usize = 1024;

/// The node's events.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<ContainerEventResponse>,
    order: Mutex<()>,
    objects: Arc<Objects>,
}

impl Events {
    /// The events of these objects.
    pub fn new(objects: Arc<Objects>) -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), order: Mutex::default(), objects }
    }

    /// Follows the events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<ContainerEventResponse> {
        self.sender.subscribe()
    }

    /// The right to change something and tell it. Held for no longer than that: never across a wait.
    pub fn transaction(&self) -> Transaction<'_> {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        Transaction { sender: &self.sender, objects: &self.objects, _order: order }
    }
}

/// See [`Events::transaction`].
#[derive(Debug)]
pub struct Transaction<'a> {
    sender: &'a broadcast::Sender<ContainerEventResponse>,
    objects: &'a Objects,
    _order: MutexGuard<'a, ()>,
}

impl Transaction<'_> {
    /// A pod became ready: made, then started.
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

    /// A container has disappeared: the pod is told without it.
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
        // Before the look, as in PodSandboxStatus: what is newer never has the smaller time.
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
        // Fails only when the last client went away in this instant.
        let _ = self.sender.send(event);
    }
}
