// SPDX-License-Identifier: Apache-2.0
//! What plugins are given, byte for byte as libcni gives it: `golden/contract.json` has the variables and the input of every
//! verb, and cnitool, which is libcni's own, must give the same for the same list.

use super::frame::{FILE, addresses, is_in_use, list, network_condition, nothing_is_kept, on_a_cni_node};
use super::recorder::{order, recorded, recorder};
use gorae_proto::cri::{DnsConfig, PodSandboxConfig};
use gorae_tests::testing::soon;
use gorae_tests::{Cni, place};
use serde_json::{Value, json};
use std::process::Command;

const KINDS: [&str; 2] = ["first", "second"];
const GOLDEN: &str = include_str!("golden/contract.json");

/// A list of two plugins, of which the first one wants everything.
fn network(cni: &Cni) -> String {
    let [mut first, second] = KINDS.map(|kind| recorder(cni, kind));
    first["capabilities"] = json!({"portMappings": true, "bandwidth": true, "dns": true, "cgroupPath": false,
        "io.kubernetes.cri.pod-annotations": true, "aliases": true});
    first["number"] = json!(12_345_678_901_i64);
    first["nested"] = json!({"a": [1, null, "ä\u{1}"]});
    list("contract", "1.1.0", &json!([first, second]))
}

/// A pod that has a value for each capability.
fn with_everything(config: &mut PodSandboxConfig) {
    config.annotations.insert("kubernetes.io/ingress-bandwidth".into(), "10M".into());
    let servers = vec!["10.0.0.10".into()];
    config.dns_config = Some(DnsConfig { servers, searches: vec!["a.b".into()], options: vec!["ndots:5".into()] });
}

/// The values that cnitool is to pass on, as the golden file has them.
fn capabilities(golden: &Value) -> Value {
    golden["first ADD"]["input"]["runtimeConfig"].clone()
}

/// All calls so far, with what differs between two runtimes replaced: the pod's id and the path of its namespace.
fn calls(verbs: &[&str], id: &str, netns: &str) -> Value {
    let mut all = serde_json::Map::new();
    for verb in verbs {
        for kind in KINDS {
            let call = recorded(kind, verb);
            let text = json!({"variables": call.variables, "input": call.input}).to_string();
            let text = text.replace(id, "ID").replace(netns, "NETNS");
            all.insert(format!("{kind} {verb}"), serde_json::from_str(&text).unwrap());
        }
    }
    all.into()
}

/// The value of a variable of the first plugin's ADD.
fn variable(name: &str) -> String {
    let variables = recorded("first", "ADD").variables;
    let found = variables.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.expect("every variable is set").to_owned()
}

/// Asserts that calls are those of the golden file, one by one.
fn as_golden(who: &str, calls: &Value, golden: &Value) {
    for (call, given) in calls.as_object().unwrap() {
        let (given, golden) = (pretty(given), pretty(&golden[call]));
        assert!(given == golden, "{who}, {call}: given\n{given}\nand not\n{golden}");
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn plugins_are_given_what_the_golden_file_has_and_libcni_gives_them_the_same() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    on_a_cni_node(&[], async |node, cni| {
        let text = network(cni);
        is_in_use(node, cni, FILE, &text).await;
        soon("GC is asked for", async || (order() == ["first GC", "second GC"]).then_some(())).await;
        let pod = node.pod("a").port(12_403, 80).with(with_everything).run().await;
        assert_eq!(addresses(&pod).await, ["10.99.0.2"]);
        let (netns, arguments) = (variable("CNI_NETNS"), variable("CNI_ARGS"));
        assert!(netns.starts_with("/var/run/netns/cni-"), "{netns}");
        pod.stop().await;
        nothing_is_kept(node).await;
        assert_eq!(order()[2..], ["first ADD", "second ADD", "second DEL", "first DEL"]);
        let ours = calls(&["STATUS", "GC", "ADD", "DEL"], pod.id(), &netns);
        as_golden("gorae", &ours, &golden);
        cni.unconfigure(FILE);
        soon("nobody calls plugins any more", async || {
            (!network_condition(node).await.message.is_empty()).then_some(())
        })
        .await;
        cni.configure(FILE, &text);
        by_cnitool(&arguments, &capabilities(&golden), &golden);
    });
}

/// Lets cnitool call the same plugins.
fn by_cnitool(arguments: &str, capabilities: &Value, golden: &Value) {
    const NETNS: &str = "/var/run/netns/cni-of-cnitool";
    let id = arguments.split(';').find_map(|pair| pair.strip_prefix("K8S_POD_INFRA_CONTAINER_ID=")).unwrap();
    for verb in ["status", "add", "del", "gc"] {
        let mut command = Command::new(place::tool("cnitool"));
        command.args([verb, "contract", NETNS]).env("CNI_PATH", golden_path(golden));
        let out = command.env("CNI_ARGS", arguments).env("CAP_ARGS", capabilities.to_string()).output().unwrap();
        assert!(out.status.success(), "cnitool {verb}: {out:?}");
    }
    let container = variable("CNI_CONTAINERID");
    let mut theirs = calls(&["STATUS", "GC", "ADD", "DEL"], id, NETNS);
    let text = theirs.to_string().replace(&container, "ID");
    theirs = serde_json::from_str(&text).unwrap();
    // It knows of no attachments, and then names none.
    let mut golden = golden.clone();
    for gc in KINDS.map(|kind| format!("{kind} GC")) {
        golden[&gc]["input"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("cni.dev/"));
    }
    as_golden("cnitool", &theirs, &golden);
}

/// The search path that the golden file names.
fn golden_path(golden: &Value) -> String {
    let variables = golden["first ADD"]["variables"].as_array().unwrap();
    variables.iter().find_map(|line| line.as_str()?.strip_prefix("CNI_PATH=")).unwrap().to_owned()
}
