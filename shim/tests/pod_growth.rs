// SPDX-License-Identifier: Apache-2.0
//! Measures what the pods of a node cost the set-up of the next one.
//!
//! The limit is on processor time of the set-up's process: a machine that does other things changes it by a few percent, and
//! the time until the reply by more than what is looked for. Each crowd of pods is compared with few pods before and after it.
//!
//! Not part of a normal run, because it takes minutes. To measure the shipped binary:
//! `GORAE_SHIM=PATH cargo test -p gorae-shim --test pod_growth -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use driver::{Shim, eventually};
use gorae_proto::shim::{reply, request::Verb};
use pods::{Node, Pod};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fmt::{self, Display, Formatter};
use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// Pods of a full node; kubelet's default is 110.
const CROWD: usize = 500;
/// Pods of one sample.
const SAMPLE: usize = 20;
const ROUNDS: usize = 3;
/// The kernel still works on namespaces and addresses for a moment, after the last interface has gone or come.
const SETTLE: Duration = Duration::from_millis(1_500);

/// Medians of a sample in milliseconds.
#[derive(Clone, Copy)]
struct Price {
    cpu: f64,
    until_reply: f64,
}

impl Display for Price {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2})", self.cpu, self.until_reply)
    }
}

/// The pods of one node, all of one kind.
struct Crowd {
    node: Node,
    change: fn(&mut Pod, usize),
    pods: Vec<Pod>,
}

impl Crowd {
    fn new(change: fn(&mut Pod, usize)) -> Self {
        Self { node: Node::new(), change, pods: Vec::new() }
    }

    /// Sets pods up until there are `count`.
    fn grow(&mut self, count: usize) -> Price {
        let mut times: Vec<_> = (self.pods.len()..count).map(|number| self.add(number)).collect();
        let mut median = |which: fn(&(Duration, Duration)) -> Duration| {
            times.sort_by_key(which);
            which(&times[times.len() / 2]).as_secs_f64() * 1e3
        };
        Price { cpu: median(|time| time.0), until_reply: median(|time| time.1) }
    }

    fn add(&mut self, number: usize) -> (Duration, Duration) {
        let mut pod = self.node.pod();
        let v4 = format!("10.77.{}.{}/32", 10 + number / 250, number % 250 + 1);
        pod.network().addresses = vec![v4, format!("fd77::{number:x}:2/128")];
        (self.change)(&mut pod, number);
        let times = set_up(&pod);
        self.pods.push(pod);
        times
    }

    /// Removes pods until there are `count`, and waits until their interfaces have gone too.
    fn shrink(&mut self, count: usize) {
        self.pods.drain(count..).for_each(|pod| pod.clean());
        eventually("the interfaces go", || host_ends() <= count);
        std::thread::sleep(SETTLE);
    }

    /// The ratio of a pod in a crowd to one of few, in processor time.
    fn round(&mut self, kind: &str) -> f64 {
        let before = self.grow(SAMPLE);
        self.grow(CROWD - SAMPLE);
        std::thread::sleep(SETTLE);
        let first = self.grow(CROWD);
        self.shrink(CROWD - SAMPLE);
        let second = self.grow(CROWD);
        self.shrink(0);
        let after = self.grow(SAMPLE);
        self.shrink(0);
        let best = |a: Price, b: Price| a.cpu.min(b.cpu);
        let ratio = best(first, second) / best(before, after);
        let label = "ms of processor (until the reply)";
        println!("{kind}, {label}: {SAMPLE} pods {before}, {after}; {CROWD} pods {first}, {second}: ratio {ratio:.2}");
        ratio
    }
}

fn host_ends() -> usize {
    let table = read_to_string("/proc/thread-self/net/dev").unwrap();
    table.lines().filter(|line| line.trim_start().starts_with("gt")).count()
}

/// The processor time of the process that sets the pod up, and the time until its reply.
fn set_up(pod: &Pod) -> (Duration, Duration) {
    let begin = Instant::now();
    let mut shim = Shim::spawn("setup-pod", &pod.request.pod_id);
    let body = shim.line.ask(Verb::SetupPod(pod.request.clone())).0;
    let until_reply = begin.elapsed();
    assert!(matches!(body, reply::Body::PodReady(_)), "{body:?}");
    // It has to be read from a process that has ended and has not been reaped.
    let id = WaitId::Pid(Pid::from_child(&shim.process));
    waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let stat = read_to_string(format!("/proc/{}/schedstat", shim.process.id())).unwrap();
    let cpu = Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap());
    shim.process.wait().unwrap();
    (cpu, until_reply)
}

#[test]
#[ignore = "measures; run it alone"]
fn the_500th_pod_costs_at_most_a_fifth_more_than_the_first() {
    type Kind = (&'static str, fn(&mut Pod, usize));
    let kinds: [Kind; 3] = [
        ("host network", |pod, _| (pod.request.own_net, pod.request.network) = (false, None)),
        ("IPv4", |pod, number| pod.only_ipv4(&format!("10.77.{}.{}", 10 + number / 250, number % 250 + 1))),
        ("IPv4 and IPv6", |_, _| {}),
    ];
    for (kind, change) in kinds {
        let mut crowd = Crowd::new(change);
        // The first pods after a start find nothing in the kernel's caches.
        crowd.grow(SAMPLE);
        crowd.shrink(0);
        let mut ratios: Vec<_> = (0..ROUNDS).map(|_| crowd.round(kind)).collect();
        ratios.sort_by(f64::total_cmp);
        assert!(ratios[ROUNDS / 2] <= 1.2, "{kind}: {ratios:.2?}");
    }
}
