// SPDX-License-Identifier: Apache-2.0
//! Measures what a pod costs: its set-up with and without the start of the process, and its clean-up.
//!
//! Not part of a normal run: the figures are only meaningful for the shipped binary on an idle machine. Build it with the
//! `shim` profile (static, non-PIE), then run
//! `GORAE_SHIM=PATH cargo test -p gorae-shim --test pod_speed -- --ignored --nocapture --test-threads=1`.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use driver::Shim;
use gorae_proto::shim::{reply, request::Verb};
use pods::{Node, Pod};
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;

fn report(what: &str, samples: &mut [Duration]) -> Duration {
    samples.sort();
    let at = |percent: usize| samples[samples.len() * percent / 100].as_secs_f64() * 1e6;
    let (p5, p50, p95) = (at(5), at(50), at(95));
    println!("{what:<52} p5 {p5:>5.0}   p50 {p50:>5.0}   p95 {p95:>5.0} us   n={}", samples.len());
    samples[samples.len() / 2]
}

/// Starts the process, lets it come to its socket, then sends the request: the reply's time, then the start's too.
fn timed(role: &str, id: &str, verb: Verb) -> [Duration; 2] {
    let begin = Instant::now();
    let mut shim = Shim::spawn(role, id);
    let started = begin.elapsed();
    std::thread::sleep(Duration::from_millis(3));
    let begin = Instant::now();
    let body = shim.line.ask(verb).0;
    let asked = begin.elapsed();
    assert!(!matches!(body, reply::Body::Failure(_)), "{body:?}");
    shim.process.wait().unwrap();
    [asked, started]
}

fn whole(role: &str, id: &str, verb: Verb) -> Duration {
    let begin = Instant::now();
    let mut shim = Shim::spawn(role, id);
    let body = shim.line.ask(verb).0;
    let time = begin.elapsed();
    assert!(!matches!(body, reply::Body::Failure(_)), "{body:?}");
    shim.process.wait().unwrap();
    time
}

fn measure(what: &str, change: impl Fn(&mut Pod)) -> Duration {
    let node = Node::new();
    let (mut setup, mut spawned, mut clean, mut cleaned) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let mut pod = node.pod();
        change(&mut pod);
        let id = &pod.request.pod_id;
        let (set, cleaning) = (Verb::SetupPod(pod.request.clone()), Verb::CleanPod(pod.clean_request()));
        if round % 2 == 0 {
            setup.push(timed("setup-pod", id, set)[0]);
            clean.push(timed("clean-pod", id, cleaning)[0]);
        } else {
            spawned.push(whole("setup-pod", id, set));
            cleaned.push(whole("clean-pod", id, cleaning));
        }
    }
    let p50 = report(&format!("{what}: set-up, request to reply"), &mut setup);
    report(&format!("{what}: set-up with process start"), &mut spawned);
    report(&format!("{what}: clean-up, request to reply"), &mut clean);
    report(&format!("{what}: clean-up with process start"), &mut cleaned);
    p50
}

#[test]
#[ignore = "measures; run it alone"]
fn a_pod_is_set_up_near_the_kernels_own_price() {
    let p50 = measure("plain", |_| {});
    measure("own pid", |pod| pod.request.own_pid = true);
    measure("own user and pid", |pod| {
        pod.request.own_pid = true;
        pod.own_user();
    });
    measure("host network", |pod| (pod.request.own_net, pod.request.network) = (false, None));
    assert!(p50 < Duration::from_micros(2_500), "{p50:?}");
}

#[test]
#[ignore = "measures; run it alone"]
fn the_thousandth_pod_costs_what_the_first_did() {
    const PODS: usize = 1000;
    for families in ["IPv4", "IPv4 and IPv6"] {
        let node = Node::new();
        let (mut pods, mut times) = (Vec::new(), Vec::new());
        for number in 0..PODS {
            let mut pod = node.pod();
            let (high, low) = (10 + number / 250, number % 250 + 1);
            pod.network().addresses = vec![format!("10.77.{high}.{low}/32"), format!("fd77::{number:x}:2/128")];
            if families == "IPv4" {
                pod.only_ipv4(&format!("10.77.{high}.{low}"));
            }
            times.push(whole("setup-pod", &pod.request.pod_id, Verb::SetupPod(pod.request.clone())));
            pods.push(pod);
        }
        let last = [0, 100, 490, PODS - 20].map(|at| {
            report(&format!("{families}: set-up of pods {} to {}", at + 1, at + 20), &mut times[at..at + 20].to_vec())
        });
        pods.iter().for_each(|pod| pod.clean());
        assert!(last[3] < 3 * last[0], "{families}: {last:?}");
    }
}
