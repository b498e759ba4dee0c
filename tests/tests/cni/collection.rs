// SPDX-License-Identifier: Apache-2.0
//! GC on a node whose pods are in several networks: what it names, and when it is asked for.

use super::debts::{stop, trouble};
use super::frame::{FILE, is_in_use, list, nothing_is_kept_within, on_a_cni_node};
use super::recorder::{order, recorded, recorder};
use gorae_tests::testing::soon;
use gorae_tests::{Cni, Node};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A network of one plugin, with these keys.
fn network(cni: &Cni, name: &str, version: &str, kind: &str, keys: &[(&str, Value)]) -> String {
    let mut plugin = recorder(cni, kind);
    for (key, value) in keys {
        plugin[key] = value.clone();
    }
    list(name, version, &json!([plugin]))
}

/// Configures a network while another one is in use, and waits until it is looked at.
async fn is_next(node: &Node, cni: &Cni, text: &str, name: &str) {
    cni.configure(FILE, text);
    let words = format!("network=\"{name}\"");
    let seen = |line: &str| line.contains("left-overs") && line.contains(&words);
    soon("the next network is looked at", async || node.daemon().log().lines().any(seen).then_some(())).await;
}

/// The attachments that a plugin's GC named.
fn named(kind: &str) -> Vec<String> {
    let input = recorded(kind, "GC").input;
    let all = input["cni.dev/valid-attachments"].as_array().unwrap();
    let mut all: Vec<_> = all.iter().map(|one| one["containerID"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

fn is_asked(kind: &str) -> bool {
    order().contains(&format!("{kind} GC"))
}

#[test]
fn a_gc_names_what_lives_and_what_is_owed_beside_pods_of_other_networks() {
    on_a_cni_node(&[], async |node, cni| {
        // This one is in the built-in network.
        let builtin = node.pod("builtin").run().await;
        let away = trouble(node);
        is_in_use(node, cni, FILE, &network(cni, "other", "1.0.0", "other", &[])).await;
        let other = node.pod("other").run().await;
        let keys = [("away", json!({"DEL": away}))];
        is_next(node, cni, &network(cni, "own", "1.0.0", "own", &keys), "own").await;
        let (lives, owed) = (node.pod("lives").run().await, node.pod("owed").run().await);
        std::fs::write(&away, "").unwrap();
        assert_eq!(stop(&owed).await.len(), 1);
        assert!(!is_asked("own"), "1.0.0 does not know it");
        // The same list under the same name learns it.
        cni.configure(FILE, &network(cni, "own", "1.1.0", "own", &keys));
        soon("GC is asked for", async || is_asked("own").then_some(())).await;
        let mut expected = [lives.id().to_owned(), owed.id().to_owned()];
        expected.sort();
        assert_eq!(named("own"), expected);
        assert!(!is_asked("other"));
        std::fs::remove_file(&away).unwrap();
        for pod in [builtin, other, lives] {
            pod.stop().await;
        }
        nothing_is_kept_within(node, Duration::from_secs(10)).await;
    });
}

#[test]
fn a_network_with_disable_gc_and_a_node_with_namespaces_of_others_are_not_asked() {
    on_a_cni_node(&[], async |node, cni| {
        let text = network(cni, "refuses", "1.1.0", "refuses", &[]);
        let mut refuses: Value = serde_json::from_str(&text).unwrap();
        refuses["disableGC"] = true.into();
        is_in_use(node, cni, FILE, &refuses.to_string()).await;
        let made = Command::new("ip").args(["netns", "add", "of-others"]).status().unwrap();
        assert!(made.success());
        is_next(node, cni, &network(cni, "shared", "1.1.0", "shared", &[]), "shared").await;
        soon("it is told", async || node.daemon().log().contains("of-others").then_some(())).await;
        let log = node.daemon().log();
        let told = log.lines().find(|line| line.contains("of-others")).unwrap();
        assert!(told.contains("left-overs are not collected"), "{told}");
        assert!(!is_asked("refuses") && !is_asked("shared"));
        assert!(Command::new("ip").args(["netns", "delete", "of-others"]).status().unwrap().success());
        assert!(!Path::new("/run/netns/of-others").exists());
    });
}
