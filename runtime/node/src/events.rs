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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Exit, State, fixtures};
    use gorae_proto::cri::{ContainerState, PodSandboxConfig, PodSandboxState};

    /// A ready pod, and a running container of it.
    fn objects() -> (Arc<Objects>, Arc<Pod>, Arc<Container>) {
        let objects = Arc::new(Objects::default());
        let record = pod::Record { id: PodId::of_digit('b'), ..pod::test_record(PodSandboxConfig::default()) };
        let pod = Pod::new(record, pod::State::Ready(pod::Up::default()));
        let container = fixtures::container(fixtures::running());
        objects.pods.insert(pod.clone());
        objects.containers.insert(container.clone());
        (objects, pod, container)
    }

    fn received(receiver: &mut broadcast::Receiver<ContainerEventResponse>) -> Vec<ContainerEventResponse> {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[test]
    fn events_come_in_the_order_of_the_changes_and_with_the_state_after_each() {
        let (objects, pod, container) = objects();
        let events = Events::new(objects.clone());
        let mut receiver = events.subscribe();
        events.transaction().pod_started(&pod);
        {
            let transaction = events.transaction();
            assert!(container.move_to(State::Exited(Exit::lost(Some(1), "x"))));
            transaction.container_stopped(&container);
        }
        {
            let transaction = events.transaction();
            objects.containers.remove(&container.record().id);
            transaction.container_deleted(&container);
        }
        {
            let transaction = events.transaction();
            pod.set_not_ready();
            transaction.pod_stopped(&pod);
        }
        events.transaction().pod_deleted(&pod);
        let (pod_id, container_id) = (pod.id().to_string(), container.record().id.to_string());
        use ContainerEventType::*;
        let (ready, not_ready) = (PodSandboxState::SandboxReady, PodSandboxState::SandboxNotready);
        let (runs, exited) = (ContainerState::ContainerRunning, ContainerState::ContainerExited);
        let expected = [
            (&pod_id, ContainerCreatedEvent, ready, Some(runs)),
            (&pod_id, ContainerStartedEvent, ready, Some(runs)),
            (&container_id, ContainerStoppedEvent, ready, Some(exited)),
            (&container_id, ContainerDeletedEvent, ready, None),
            (&pod_id, ContainerStoppedEvent, not_ready, None),
            (&pod_id, ContainerDeletedEvent, not_ready, None),
        ];
        let events = received(&mut receiver);
        assert_eq!(events.len(), expected.len());
        for (event, (subject, kind, state, of_container)) in events.iter().zip(expected) {
            assert_eq!((&event.container_id, event.container_event_type()), (subject, kind));
            assert_eq!(event.pod_sandbox_status.as_ref().map(|status| status.state()), Some(state), "{kind:?}");
            assert_eq!(event.containers_statuses.first().map(|status| status.state()), of_container, "{kind:?}");
        }
        assert!(events.windows(2).all(|two| two[0].created_at < two[1].created_at));
    }

    #[test]
    fn a_change_and_its_event_are_one_step_for_everyone_else() {
        let (objects, pod, container) = objects();
        let events = Events::new(objects);
        let mut receiver = events.subscribe();
        std::thread::scope(|scope| {
            let transaction = events.transaction();
            let other = scope.spawn(|| events.transaction().pod_stopped(&pod));
            assert!(container.move_to(State::Exited(Exit::lost(Some(1), "x"))));
            std::thread::sleep(std::time::Duration::from_millis(10));
            assert!(!other.is_finished() && receiver.is_empty());
            transaction.container_stopped(&container);
        });
        let subjects: Vec<_> = received(&mut receiver).into_iter().map(|event| event.container_id).collect();
        assert_eq!(subjects, [container.record().id.to_string(), pod.id().to_string()]);
    }

    #[test]
    fn a_client_that_reads_too_slowly_loses_the_oldest_events_and_holds_nobody_up() {
        let (objects, pod, _) = objects();
        let events = Events::new(objects);
        let mut receiver = events.subscribe();
        for _ in 0..BACKLOG + 3 {
            events.transaction().pod_stopped(&pod);
        }
        assert!(matches!(receiver.try_recv(), Err(broadcast::error::TryRecvError::Lagged(3))));
        assert_eq!(received(&mut receiver).len(), BACKLOG);
    }
}
