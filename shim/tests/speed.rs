// SPDX-License-Identifier: Apache-2.0
//! Measures what a container costs: the time of a start and of an exec, and the memory of an idle shim.
//!
//! Not part of a normal run: the figures are only meaningful for the shipped binary on an idle machine. Build it with the
//! `shim` profile (static, non-PIE), then run
//! `GORAE_SHIM=PATH cargo test -p gorae-shim --test speed -- --ignored --nocapture --test-threads=1`.

mod driver;

use driver::{Bench, Pod, Running, Shim, words};
use gorae_proto::shim::{Exec, Stop, request::Verb};
use std::fs;
use std::time::{Duration, Instant};

fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort();
    samples[(samples.len() * percent / 100).min(samples.len() - 1)]
}

fn report(what: &str, samples: &mut [Duration]) -> Duration {
    let (p50, p95) = (percentile(samples, 50), percentile(samples, 95));
    let p10 = us(percentile(samples, 10));
    println!("{what:<44} p10 {p10:>7.0} us   p50 {:>7.0} us   p95 {:>7.0} us   n={}", us(p50), us(p95), samples.len());
    p50
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The kernel reports times in hundredths of a second (`USER_HZ`).
const TICK_MS: u64 = 10;

/// User and system time of all reaped descendants, in steps of 10 ms. Other load on the machine does not change it.
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("own stat");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    // Fields 16 and 17; the state after the name is the third.
    let ticks: u64 = fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * TICK_MS)
}

/// A filter that refuses `n` system calls and allows everything else, about as large as that of a usual profile.
fn filter(n: u32) -> Vec<u8> {
    let instruction =
        |code: u16, jt: u8, jf: u8, k: u32| [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat();
    let mut program = vec![instruction(0x20, 0, 0, 0)];
    for i in 0..n {
        program.push(instruction(0x15, 0, 1, 600 + i));
        program.push(instruction(0x06, 0, 0, 0x0005_0001));
    }
    program.push(instruction(0x06, 0, 0, 0x7fff_0000));
    program.concat()
}

fn realistic(pod: &Pod, args: &[&str]) -> Bench {
    let mut bench = Bench::new(args);
    pod.adopt(&mut bench);
    bench.process().seccomp_filter = filter(180);
    bench.resources().memory_limit_bytes = 512 << 20;
    bench.resources().cpu_shares = 102;
    bench.resources().cpu_period_us = 100_000;
    bench.resources().cpu_quota_us = 100_000;
    for name in ["hosts", "resolv.conf", "hostname"] {
        let file = bench.path(name);
        fs::write(&file, "").expect("readable");
        bench.bind(&file, &format!("/etc/{name}"));
    }
    bench
}

#[test]
#[ignore = "a measurement"]
fn a_container_starts_within_three_milliseconds() {
    let pod = Pod::new(|_| {});
    let (mut spawn, mut start, mut end) = (Vec::new(), Vec::new(), Vec::new());
    // Kept until the end: a file system that has just freed a thousand inodes is slow to allocate new ones.
    let mut kept = Vec::new();
    let before = children_cpu();
    for _ in 0..200 {
        let bench = realistic(&pod, &["/bin/sleep", "100"]);
        let begin = Instant::now();
        let mut shim = Shim::spawn("container", &bench.id);
        let spawned = Instant::now();
        shim.line.ask(Verb::Start(bench.start.clone()));
        start.push(spawned.elapsed());
        spawn.push(begin.elapsed());
        let stopped = Instant::now();
        shim.line.ask(Verb::Stop(Stop { signal: 9, grace_ms: 0 }));
        while shim.line.next_push().is_some() {}
        end.push(stopped.elapsed());
        shim.process.wait().unwrap();
        kept.push(bench);
    }
    println!("{:<44} {:>11.0} us each", "CPU time of shim and container", us(children_cpu() - before) / 200.0);
    report("spawn of the shim and Start", &mut spawn);
    let p50 = report("Start request to Started", &mut start);
    report("Stop request to connection closed", &mut end);
    assert!(p50 < Duration::from_millis(3), "{p50:?}");
}

#[test]
#[ignore = "a measurement"]
fn a_command_is_executed_within_two_milliseconds() {
    let pod = Pod::new(|_| {});
    let mut container = realistic(&pod, &["/bin/sleep", "1000"]).run();
    let mut samples = Vec::new();
    for _ in 0..1000 {
        let exec = Exec { args: words(&["/bin/true"]), timeout_ms: 10_000, ..Exec::default() };
        let begin = Instant::now();
        container.exec_with(exec);
        samples.push(begin.elapsed());
    }
    let p50 = report("Exec request to exit and end of output", &mut samples);
    container.kill();
    assert!(p50 < Duration::from_millis(2), "{p50:?}");
}

#[test]
#[ignore = "a measurement"]
fn an_idle_shim_takes_a_quarter_of_a_megabyte_at_most() {
    let pod = Pod::new(|_| {});
    let mut containers: Vec<Running> = (0..50).map(|_| realistic(&pod, &["/bin/sleep", "1000"]).run()).collect();
    for container in &mut containers {
        container.exec(&["true"]);
    }
    std::thread::sleep(Duration::from_millis(1500));
    let value = |pid: u32, key: &str| -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = rollup.lines().find(|l| l.starts_with(key)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let pids: Vec<u32> = containers.iter().map(|c| c.shim.as_ref().unwrap().process.id()).collect();
    for key in ["Rss:", "Pss:", "Anonymous:"] {
        let sum: u64 = pids.iter().map(|pid| value(*pid, key)).sum();
        println!("{key:<12} mean of {} shims {:>6} kB", pids.len(), sum / pids.len() as u64);
    }
    let pss: u64 = pids.iter().map(|pid| value(*pid, "Pss:")).sum::<u64>() / pids.len() as u64;
    containers.iter_mut().for_each(|c| drop(c.kill()));
    assert!(pss <= 250, "{pss} kB");
}
