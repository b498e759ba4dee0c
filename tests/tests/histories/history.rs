// SPDX-License-Identifier: Apache-2.0
//! Random lives of pods and containers; each call is repeated until a daemon lives long enough to answer it.

use futures_util::future::join_all;
use gorae_proto::cri::ContainerState;
use gorae_tests::{BUSYBOX, Container, Node, Pod, TINY};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// Pods at the same time.
const PODS: usize = 4;
/// Containers of a pod at the same time.
const CONTAINERS: usize = 4;
/// Longest wait for a call to get through.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that a seed repeats.
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// The next number below a limit (splitmix64).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What a container was told, and will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Created,
    Started,
    Stopped,
}

#[derive(Debug, Clone)]
struct Member {
    container: Container,
    /// Its exit code; `None` for one that runs until it is stopped.
    code: Option<i32>,
    life: Life,
}

#[derive(Debug, Clone)]
struct Group {
    pod: Pod,
    ready: bool,
    members: Vec<Member>,
}

/// One step; the numbers are places in the lists.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    RunPod,
    Create { pod: usize, kind: u64 },
    Start { pod: usize, member: usize },
    Stop { pod: usize, member: usize },
    Remove { pod: usize, member: usize },
    StopPod { pod: usize },
    RemovePod { pod: usize },
}

/// All pods and containers of a run.
pub struct History<'a> {
    node: &'a Node,
    groups: Mutex<Vec<Group>>,
    names: Mutex<usize>,
}

impl<'a> History<'a> {
    /// Nothing has happened yet; the images are there.
    pub async fn new(node: &'a Node) -> History<'a> {
        for image in [TINY, BUSYBOX] {
            node.cri().pull(image).await.expect("the test images are in the registry");
        }
        History { node, groups: Mutex::default(), names: Mutex::default() }
    }

    /// One to three steps that do not get in each other's way: each in a pod of its own.
    pub fn choose(&self, random: &mut Random) -> Vec<Step> {
        let groups = self.groups.lock().expect("no panic");
        let mut batch = Vec::new();
        if groups.len() < PODS && random.below(4) == 0 || groups.is_empty() {
            batch.push(Step::RunPod);
        }
        for (pod, group) in groups.iter().enumerate() {
            if random.below(2) == 0 {
                batch.push(step_in(pod, group, random));
            }
        }
        batch
    }

    /// Does them all at the same time.
    pub async fn carry_out(&self, batch: Vec<Step>) {
        let mut gone: Vec<usize> =
            batch.iter().filter_map(|s| if let Step::RemovePod { pod } = s { Some(*pod) } else { None }).collect();
        join_all(batch.into_iter().map(|step| self.carry_out_one(step))).await;
        gone.sort_unstable();
        // From the last on: the places before it stay what they are.
        gone.into_iter().rev().for_each(|pod| drop(self.groups.lock().expect("no panic").remove(pod)));
    }

    async fn carry_out_one(&self, step: Step) {
        match step {
            Step::RunPod => self.run_pod().await,
            Step::Create { pod, kind } => self.create(pod, kind).await,
            Step::Start { pod, member } => {
                let container = self.member(pod, member).container;
                insist(async || match container.try_start().await {
                    // The answer to an earlier try was lost on its way.
                    Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
                    other => other,
                })
                .await;
                self.change(pod, |group| group.members[member].life = Life::Started);
            }
            Step::Stop { pod, member } => {
                let container = self.member(pod, member).container;
                insist(async || container.try_stop(1).await).await;
                self.change(pod, |group| group.members[member].life = Life::Stopped);
            }
            Step::Remove { pod, member } => {
                let container = self.member(pod, member).container;
                insist(async || container.try_remove().await).await;
                self.change(pod, |group| drop(group.members.remove(member)));
            }
            Step::StopPod { pod } => {
                let handle = self.groups.lock().expect("no panic")[pod].pod.clone();
                insist(async || handle.try_stop().await).await;
                self.change(pod, |group| {
                    group.ready = false;
                    let started = group.members.iter_mut().filter(|m| m.life == Life::Started);
                    started.for_each(|m| (m.life, m.code) = (Life::Stopped, None));
                });
            }
            Step::RemovePod { pod } => {
                let handle = self.groups.lock().expect("no panic")[pod].pod.clone();
                insist(async || handle.try_remove().await).await;
            }
        }
    }

    async fn run_pod(&self) {
        let name = format!("events-{}", self.next_name());
        let pod = insist(async || self.node.pod(&name).try_run().await).await;
        self.groups.lock().expect("no panic").push(Group { pod, ready: true, members: Vec::new() });
    }

    async fn create(&self, pod: usize, kind: u64) {
        let builder = self.groups.lock().expect("no panic")[pod].pod.container(&format!("c{}", self.next_name()));
        let code = i32::try_from(kind).expect("small");
        let (builder, code) = match kind % 3 {
            0 => (builder.image(TINY).args(["sleep"]), None),
            1 => (builder.image(TINY).args(["exit", &code.to_string()]), Some(code)),
            _ => (builder.script(&format!("sleep 0.{:02}; exit {code}", kind % 25)), Some(code)),
        };
        let container = insist(async || builder.clone().create_as_it_is().await).await;
        self.change(pod, |group| group.members.push(Member { container, code, life: Life::Created }));
    }

    fn next_name(&self) -> usize {
        let mut names = self.names.lock().expect("no panic");
        *names += 1;
        *names
    }

    fn member(&self, pod: usize, member: usize) -> Member {
        self.groups.lock().expect("no panic")[pod].members[member].clone()
    }

    fn change(&self, pod: usize, change: impl FnOnce(&mut Group)) {
        change(&mut self.groups.lock().expect("no panic")[pod]);
    }

    /// Waits until everything that ends by itself has, each with its own code.
    pub async fn settle(&self) {
        let members: Vec<Member> =
            self.groups.lock().expect("no panic").iter().flat_map(|group| group.members.clone()).collect();
        for member in members.into_iter().filter(|m| m.life == Life::Started) {
            let Some(code) = member.code else { continue };
            let status = member.container.ended().await;
            assert_eq!((status.state(), status.exit_code), (ContainerState::ContainerExited, code), "{status:?}");
        }
    }
}

fn step_in(pod: usize, group: &Group, random: &mut Random) -> Step {
    let place = usize::try_from(random.below(group.members.len().max(1) as u64)).expect("small");
    let room = group.ready && group.members.len() < CONTAINERS;
    match (random.below(12), group.members.get(place)) {
        (0, _) if group.ready => Step::StopPod { pod },
        (0 | 1, _) if !group.ready => Step::RemovePod { pod },
        (2, Some(_)) => Step::Remove { pod, member: place },
        (3 | 4, Some(member)) if member.life == Life::Started => Step::Stop { pod, member: place },
        (_, Some(member)) if member.life == Life::Created && group.ready => Step::Start { pod, member: place },
        (_, _) if room => Step::Create { pod, kind: random.below(100) },
        (_, Some(_)) => Step::Remove { pod, member: place },
        (_, None) => Step::RemovePod { pod },
    }
}

/// Calls until it succeeds, through refused connections and broken streams.
async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> T {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(status) => {
                let broken =
                    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal);
                assert!(broken && begun.elapsed() < PATIENCE, "{status:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
