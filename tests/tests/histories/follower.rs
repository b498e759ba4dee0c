// SPDX-License-Identifier: Apache-2.0
//! One stream of events held against the lists around it.
//!
//! A subject (container or pod) goes through ranks: absent 0, created 1, running or ready 2, ended 3, removed 4. From the
//! list that follows the subscription on, each step of each subject must be told once, in its order, with a picture of
//! the pod that is never older than the one before.

use super::receive_until;
use gorae_proto::cri::{ContainerEventResponse, ContainerEventType, ContainerState, GetEventsRequest, PodSandboxState};
use gorae_tests::Node;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Ranks = HashMap<String, u8>;

/// A stream, and what is known by it.
pub struct Follower {
    events: UnboundedReceiver<ContainerEventResponse>,
    /// By the list, then by the events.
    ranks: Ranks,
    /// By the events alone.
    told: Ranks,
    /// By the pictures in the events.
    pictured: Ranks,
    /// When the list was there: an event from before it may tell what the list has told.
    listed_at: i64,
    last_at: i64,
    count: u64,
    history: Vec<String>,
}

impl Follower {
    /// Subscribes, then lists: what kubelet does when its stream has ended.
    pub async fn subscribe(node: &Node) -> Follower {
        let stream = node.cri().runtime().get_container_events(GetEventsRequest {}).await;
        let mut stream = stream.expect("a stream of events").into_inner();
        let (sender, events) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(event)) = stream.message().await {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let ranks = list(node).await;
        let listed_at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let listed_at = i64::try_from(listed_at).expect("before 2262");
        let (told, pictured, history) = (Ranks::new(), Ranks::new(), Vec::new());
        Follower { events, ranks, told, pictured, listed_at, last_at: 0, count: 0, history }
    }

    /// The daemon was killed: what came until then must be a beginning of what happened. Returns the number of events.
    pub async fn end_with_the_daemon(mut self) -> u64 {
        let mut events = std::mem::replace(&mut self.events, unbounded_channel().1);
        // The stream ends with the daemon, and so does the channel.
        receive_until(&mut events, Duration::from_secs(5), |event| {
            event.iter().for_each(|event| self.take(event));
            false
        })
        .await;
        assert!(events.is_closed(), "the stream goes on without its daemon");
        self.count
    }

    /// Nothing happens any more: everything must have been told. Returns the number of events.
    pub async fn end_at_rest(mut self, node: &Node, limit: Duration) -> u64 {
        let now = list(node).await;
        let (mut events, empty) = (std::mem::replace(&mut self.events, unbounded_channel().1), Ranks::new());
        receive_until(&mut events, limit, |event| {
            event.iter().for_each(|event| self.take(event));
            self.missing(&now).is_empty()
        })
        .await;
        assert_eq!(self.missing(&now), empty, "never told of; events: {:#?}", self.history);
        // One too many would come now.
        receive_until(&mut events, Duration::from_millis(100), |event| {
            event.iter().for_each(|event| self.take(event));
            false
        })
        .await;
        assert_eq!(self.missing(&now), empty, "told too much; events: {:#?}", self.history);
        self.count
    }

    /// Subjects whose rank by the events differs from that of a list.
    fn missing(&self, now: &Ranks) -> Ranks {
        let known = self.ranks.iter().filter(|(id, rank)| now.get(*id).copied().unwrap_or(4) != **rank);
        let unknown = now.iter().filter(|(id, _)| !self.ranks.contains_key(*id));
        known.chain(unknown).map(|(id, rank)| (id.clone(), *rank)).collect()
    }

    fn take(&mut self, event: &ContainerEventResponse) {
        self.count += 1;
        let line = describe(event);
        self.history.push(line.clone());
        if let Err(why) = self.check(event).and_then(|()| self.look(event)) {
            panic!("{why}: {line}; events: {:#?}", self.history);
        }
        let (id, rank) = (&event.container_id, rank_of(event));
        self.last_at = event.created_at;
        self.told.insert(id.clone(), rank);
        let known = self.ranks.entry(id.clone()).or_default();
        *known = rank.max(*known);
    }

    /// The step: later than all before, and the next one of its subject.
    fn check(&self, event: &ContainerEventResponse) -> Result<(), String> {
        let (id, rank) = (&event.container_id, rank_of(event));
        if event.created_at <= self.last_at {
            return Err("not later than the event before".into());
        }
        if self.told.get(id).is_some_and(|before| !follows(*before, rank)) {
            return Err("does not follow what was told of it before".into());
        }
        let known = self.ranks.get(id).copied().unwrap_or(0);
        if !follows(known, rank) && event.created_at > self.listed_at {
            return Err("does not follow what the list said".into());
        }
        Ok(())
    }

    /// The picture of the pod: there, as new as the event, and not older than the last one.
    fn look(&mut self, event: &ContainerEventResponse) -> Result<(), String> {
        let pod = event.pod_sandbox_status.as_ref().ok_or("no status of the pod")?;
        let mut seen: Vec<(&String, u8)> = vec![(&pod.id, pod_rank(pod.state()))];
        seen.extend(event.containers_statuses.iter().map(|c| (&c.id, container_rank(c.state()))));
        let subject = seen.iter().find(|(id, _)| **id == event.container_id).map(|(_, rank)| *rank);
        match (subject, rank_of(event)) {
            (None, 4) if event.container_id != pod.id => {}
            (Some(_), 4) if event.container_id != pod.id => return Err("it is in the picture, and removed".into()),
            // A pod that is removed is shown as it was last: kubelet takes no event without one.
            (Some(_), 4) => {}
            (Some(shown), told) if shown >= told => {}
            (Some(shown), _) => return Err(format!("the picture shows it as {shown}")),
            (None, _) => return Err("its subject is not in the picture".into()),
        }
        for (id, rank) in seen {
            let last = self.pictured.entry(id.clone()).or_insert(rank);
            if rank < *last {
                return Err(format!("the picture shows {id} as {rank}, the one before as {last}"));
            }
            *last = rank;
        }
        Ok(())
    }
}

/// Whether a step from one rank to another is one; a created container may be removed without having run.
fn follows(before: u8, now: u8) -> bool {
    now == before + 1 || (before, now) == (1, 4)
}

fn rank_of(event: &ContainerEventResponse) -> u8 {
    match event.container_event_type() {
        ContainerEventType::ContainerCreatedEvent => 1,
        ContainerEventType::ContainerStartedEvent => 2,
        ContainerEventType::ContainerStoppedEvent => 3,
        ContainerEventType::ContainerDeletedEvent => 4,
    }
}

fn container_rank(state: ContainerState) -> u8 {
    match state {
        ContainerState::ContainerCreated => 1,
        ContainerState::ContainerRunning => 2,
        ContainerState::ContainerExited => 3,
        ContainerState::ContainerUnknown => panic!("nothing is unknown here"),
    }
}

fn pod_rank(state: PodSandboxState) -> u8 {
    match state {
        PodSandboxState::SandboxReady => 2,
        PodSandboxState::SandboxNotready => 3,
    }
}

fn describe(event: &ContainerEventResponse) -> String {
    let pod = event.pod_sandbox_status.as_ref().map_or("", |pod| &pod.id[..8]);
    format!(
        "{} {} of pod {pod} at {}",
        event.container_event_type().as_str_name(),
        &event.container_id[..8],
        event.created_at
    )
}

async fn list(node: &Node) -> Ranks {
    let pods = node.cri().list_pods().await.expect("pods can be listed");
    let containers = node.cri().list_containers(None).await.expect("containers can be listed");
    let pods = pods.into_iter().map(|p| (p.id.clone(), pod_rank(p.state())));
    pods.chain(containers.into_iter().map(|c| (c.id.clone(), container_rank(c.state())))).collect()
}
