// SPDX-License-Identifier: Apache-2.0
//! The frame of a test with CNI, and sentences about pods in such networks.

use gorae_proto::cri::{RuntimeCondition, StatusRequest};
use gorae_tests::testing::soon;
use gorae_tests::{Cni, Container, Node, Output, Pod, TINY, cni, on_a_node, web};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The file that most tests write.
pub const FILE: &str = "10-test.conflist";

/// Runs a test on a node that starts without a configuration. When the body is done, no pod may have anything left in the
/// plugins' places; then the plugins go.
pub fn on_a_cni_node(plugins: &[&str], body: impl AsyncFnOnce(&Node, &Cni)) {
    on_a_node(async |node| {
        let cni = Cni::install(plugins);
        body(node, &cni).await;
        node.sweep().await.unwrap();
        nothing_is_kept(node).await;
        drop(cni);
        // As an operator does who wants the built-in network back.
        let _ = std::fs::remove_file(node.daemon().root().join("cni-seen"));
    });
}

/// What is kept of pods: how many records, files of pinned namespaces, files of plugins, and rules.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    pub records: usize,
    pub pins: usize,
    pub files: usize,
    pub rules: usize,
}

/// Counts what is kept of pods.
pub fn kept_of_pods(node: &Node) -> Kept {
    let attachments = std::fs::read_dir(node.daemon().root().join("attachments"));
    Kept {
        records: attachments.into_iter().flatten().count(),
        pins: cni::pins().len(),
        files: cni::kept().len(),
        rules: cni::rules().iter().filter(|rule| is_of_a_pod(rule)).count(),
    }
}

/// Waits until nothing is kept of any pod.
pub async fn nothing_is_kept(node: &Node) {
    nothing_is_kept_within(node, Duration::from_secs(10)).await;
}

/// The same within a time that is given.
pub async fn nothing_is_kept_within(node: &Node, limit: Duration) {
    let begun = Instant::now();
    loop {
        let kept = kept_of_pods(node);
        if kept == (Kept { records: 0, pins: 0, files: 0, rules: 0 }) {
            return;
        }
        assert!(begun.elapsed() < limit, "{limit:?} after the last pod's end there are {kept:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a rule or a chain is one that a plugin makes for each pod.
pub fn is_of_a_pod(rule: &str) -> bool {
    let id = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    rule.starts_with("chain CNI-DN-") || rule.split(|c: char| !c.is_alphanumeric()).any(id)
}

/// A list of plugins as JSON text.
pub fn list(name: &str, version: &str, plugins: &Value) -> String {
    json!({"name": name, "cniVersion": version, "plugins": plugins}).to_string()
}

/// A bridge with addresses of host-local in these ranges.
pub fn bridge(name: &str, subnets: &[&str]) -> Value {
    let ranges: Vec<Value> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    let route = |subnet: &&str| json!({"dst": if subnet.contains(':') { "::/0" } else { "0.0.0.0/0" }});
    let routes: Vec<Value> = subnets.iter().map(route).collect();
    json!({
        "type": "bridge", "bridge": name, "isGateway": true, "ipMasq": true, "hairpinMode": true,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
    })
}

/// A link for each pod, with addresses of host-local in this range: nothing of it belongs to the network as a whole, so that
/// it can be there before the node starts.
pub fn links(subnet: &str) -> Value {
    let ipam = json!({"type": "host-local", "subnet": subnet, "routes": [{"dst": "0.0.0.0/0"}]});
    json!({"type": "ptp", "ipam": ipam})
}

/// The condition of the node's network.
pub async fn network_condition(node: &Node) -> RuntimeCondition {
    let answer = node.cri().runtime().status(StatusRequest { verbose: false }).await.unwrap().into_inner();
    let conditions = answer.status.unwrap().conditions;
    conditions.into_iter().find(|condition| condition.r#type == "NetworkReady").expect("kubelet needs it")
}

/// Waits until new pods are in the CNI network. Panics with the reason when that takes long.
pub async fn is_in_use(node: &Node, cni: &Cni, file: &str, text: &str) {
    cni.configure(file, text);
    soon("the CNI network is ready", async || node.daemon().log().contains("the CNI network is ready").then_some(()))
        .await;
    let condition = network_condition(node).await;
    assert!(condition.status, "{condition:?}");
}

/// All addresses of a pod, as its status has them.
pub async fn addresses(pod: &Pod) -> Vec<String> {
    let network = pod.status().await.network.unwrap();
    [network.ip].into_iter().chain(network.additional_ips.into_iter().map(|ip| ip.ip)).collect()
}

/// A web server whose page is `text`.
pub async fn server(node: &Node, pod: &Pod, text: &str) -> Container {
    let www = node.directory(&format!("www-{text}"));
    std::fs::write(www.join("index.html"), text).unwrap();
    pod.container("web").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www").start().await
}

/// A container with a shell.
pub async fn shell(pod: &Pod) -> Container {
    pod.container("shell").script("sleep 1000").start().await
}

/// Asserts that a pod's server is reached from a container at each of its addresses.
pub async fn reaches(from: &Container, to: &[String], page: &str) {
    for address in to {
        let out = fetch(from, address).await;
        assert_eq!((out.code, out.stdout.as_str()), (0, page), "{address}: {out:?}");
    }
}

/// Fetches the page at an address from inside a container.
pub async fn fetch(from: &Container, address: &str) -> Output {
    let is_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let host = if is_v6 { format!("[{address}]") } else { address.to_owned() };
    let get = format!("wget -q -O - http://{host}/");
    from.sh(&format!("for i in 1 2 3 4 5 6; do {get} && exit; sleep 0.3; done; exit 1")).await
}

/// Asserts that the node itself reaches the pod's server.
pub async fn node_reaches(address: &str, page: &str) {
    let host = if address.contains(':') { format!("[{address}]:80") } else { format!("{address}:80") };
    assert_eq!(web::get_soon(&host, "/").await, (200, page.to_owned()), "{address}");
}
