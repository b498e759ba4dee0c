// SPDX-License-Identifier: Apache-2.0
//! What kubelet tells of usage.

use crate::{pod, shell, tiny, with};
use gorae_tests::kubelet::{ALPHA, DEFAULT, Kubelet, StaticPod, on_a_kubelet, ready};
use gorae_tests::web;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long kubelet may take to look at everything once.
const LIMIT: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

/// A pod with one container that works, one that holds memory, one that writes, and one that serves what was written.
fn load() -> Value {
    let writes = "head -c 5000000 /dev/zero >/root/own; head -c 3000000 /dev/zero >/empty/new; \
                  mv /empty/new /empty/shared; echo written; trap 'exit 0' TERM; sleep 1000 & wait";
    let empty = json!({"volumeMounts": [{"name": "empty", "mountPath": "/empty"}]});
    let (writes, serves) = (shell("writes", writes), tiny("serves", &["serve", "80", "/empty"]));
    let served = json!({"readinessProbe": {"httpGet": {"port": 80, "path": "/shared"}, "periodSeconds": 1}});
    let serves = with(serves, served);
    let (works, holds) = (shell("works", "while :; do :; done"), tiny("holds", &["eat", "32"]));
    let containers = json!([works, holds, with(writes, empty.clone()), with(serves, empty)]);
    with(pod(containers), json!({"volumes": [{"name": "empty", "emptyDir": {}}]}))
}

/// The element of a list with this member.
fn find<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut all = list.as_array().into_iter().flatten();
    all.find(|item| item.pointer(key).is_some_and(|found| found == value)).unwrap_or(&Value::Null)
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// What is wrong with what a summary says of the pod; empty when all is plausible.
fn implausible(summary: &Value, pod: &StaticPod, from_runtime: bool) -> Vec<String> {
    let stats = find(&summary["pods"], "/podRef/name", pod.name());
    let container = |name| find(&stats["containers"], "/name", name);
    let (works, holds, writes) = (container("works"), container("holds"), container("writes"));
    let mut expected = vec![
        ("node: cpu", number(&summary["node"], "/cpu/usageNanoCores"), 50_000_000..64_000_000_000),
        ("node: memory", number(&summary["node"], "/memory/workingSetBytes"), 32 * MIB..1 << 44),
        ("node: disk", number(&summary["node"], "/fs/capacityBytes"), MIB..1 << 60),
        ("node: images", number(&summary["node"], "/runtime/imageFs/usedBytes"), 100_000..1 << 40),
        ("pod: cpu", number(stats, "/cpu/usageNanoCores"), 50_000_000..2_000_000_000),
        ("pod: memory", number(stats, "/memory/workingSetBytes"), 32 * MIB..100 * MIB),
        ("pod: disk", number(stats, "/ephemeral-storage/usedBytes"), 8_000_000..12_000_000),
        ("works: cpu", number(works, "/cpu/usageNanoCores"), 50_000_000..1_200_000_000),
        ("works: cpu time", number(works, "/cpu/usageCoreNanoSeconds"), 100_000_000..60_000_000_000),
        ("holds: memory", number(holds, "/memory/workingSetBytes"), 32 * MIB..40 * MIB),
        ("holds: resident", number(holds, "/memory/rssBytes"), 32 * MIB..40 * MIB),
        ("writes: disk", number(writes, "/rootfs/usedBytes"), 5_000_000..5_500_000),
        ("writes: log", number(writes, "/logs/usedBytes"), 1..100_000),
        ("pod: volume", number(find(&stats["volume"], "/name", "empty"), "/usedBytes"), 3_000_000..3_500_000),
    ];
    if from_runtime {
        expected.push(("pod: processes", number(stats, "/process_stats/process_count"), 3..20));
        expected.push(("pod: received", number(stats, "/network/rxBytes"), 1_000..1_000_000));
        expected.push(("pod: sent", number(stats, "/network/txBytes"), 3_000_000..4_000_000));
    }
    let wrong = expected.into_iter().filter(|(_, found, plausible)| !plausible.contains(found));
    wrong.map(|(what, found, plausible)| format!("{what}: {found}, not in {plausible:?}")).collect()
}

/// Waits until kubelet has looked at everything and all of it is plausible; returns the summary.
async fn plausible_summary(kubelet: &Kubelet, pod: &StaticPod, from_runtime: bool) -> Value {
    let begun = Instant::now();
    loop {
        let summary = kubelet.api().json("/stats/summary").await;
        let wrong = implausible(&summary, pod, from_runtime);
        if wrong.is_empty() {
            return summary;
        }
        let stats = find(&summary["pods"], "/podRef/name", pod.name());
        assert!(begun.elapsed() < LIMIT, "after {LIMIT:?} still:\n{}\n{stats:#}", wrong.join("\n"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The value of a metric in Prometheus' text that has all these labels; panics when there is none.
fn metric(text: &str, name: &str, labels: &[&str]) -> f64 {
    let start = format!("{name}{{");
    let line = text.lines().find(|l| l.starts_with(&start) && labels.iter().all(|label| l.contains(label)));
    let value = line.and_then(|line| line.rsplit("} ").next()?.split(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no metric {name} of {labels:?}, but {:#?}", named(text, name)))
}

fn named<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(name)).collect()
}

/// Kubelet's metrics of containers, once the busy one has used a whole second: the CRI's are whole numbers.
async fn metrics_of_a_second(kubelet: &Kubelet, pod: &StaticPod) -> String {
    let begun = Instant::now();
    loop {
        let metrics = kubelet.api().get("/metrics/cadvisor").await;
        let seconds = metric(&metrics, "container_cpu_usage_seconds_total", &["container=\"works\"", pod.name()]);
        if (1.0..100.0).contains(&seconds) {
            return metrics;
        }
        assert!(begun.elapsed() < LIMIT, "after {LIMIT:?} a busy container has used {seconds} s of CPU time");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[test]
fn the_summary_of_usage_is_plausible_for_node_pod_containers_and_volumes() {
    on_a_kubelet(DEFAULT, async |_, kubelet| {
        let pod = kubelet.run("load", load());
        pod.until("it is ready", ready).await;
        plausible_summary(kubelet, &pod, false).await;
        let metrics = kubelet.api().get("/metrics/resource").await;
        let held = metric(&metrics, "container_memory_working_set_bytes", &["container=\"holds\"", pod.name()]);
        assert!((32e6..42e6).contains(&held), "{held}");
        pod.remove().await;
    });
}

#[test]
fn usage_and_metrics_from_the_runtime_are_plausible_too() {
    on_a_kubelet(ALPHA, async |_, kubelet| {
        let pod = kubelet.run("load", load());
        let now = pod.until("it is ready", ready).await;
        let address = now["status"]["podIP"].as_str().expect("a ready pod has an address");
        let (status, body) = web::get(&format!("{address}:80"), "/shared").await.unwrap();
        assert_eq!((status, body.len()), (200, 3_000_000));
        plausible_summary(kubelet, &pod, true).await;
        let metrics = metrics_of_a_second(kubelet, &pod).await;
        let of = |name, container: &str| metric(&metrics, name, &[&format!("container=\"{container}\""), pod.name()]);
        let held = of("container_memory_working_set_bytes", "holds");
        assert!((32e6..42e6).contains(&held), "{held}");
        let written = of("container_fs_usage_bytes", "writes");
        assert!((5e6..6e6).contains(&written), "{written}");
        let sent = metric(&metrics, "container_network_transmit_bytes_total", &["interface=\"eth0\"", pod.name()]);
        assert!((3e6..4e6).contains(&sent), "{sent}");
        pod.remove().await;
    });
}
