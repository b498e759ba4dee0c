// SPDX-License-Identifier: Apache-2.0
//! Plugins that misbehave, one way after the other: the pod fails with words or it does not, and nothing is left.

use super::frame::{FILE, addresses, bridge, is_in_use, list, nothing_is_kept, on_a_cni_node};
use super::recorder::recorder;
use gorae_tests::{Cni, cni, place};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A bridge, and behind it a plugin of the tests' with these keys.
pub fn bridge_and(cni: &Cni, keys: &[(&str, Value)]) -> String {
    network_and(cni, "one", "10.81.0.0/24", keys)
}

/// The same with another name and another range.
pub fn network_and(cni: &Cni, name: &str, subnet: &str, keys: &[(&str, Value)]) -> String {
    let mut own = recorder(cni, "own");
    for (key, value) in keys {
        own[key] = value.clone();
    }
    list(name, "1.0.0", &json!([bridge(&format!("br-{name}"), &[subnet]), own]))
}

/// What the plugin does on ADD, and the words of the error; `None`: the pod runs all the same.
const WAYS: [(&str, Option<&str>); 17] = [
    ("Error", Some("plugin type=\"own\" failed (add): no")),
    ("ErrorWithSuccess", Some("gave the pod no address")),
    ("Silent", Some("plugin type=\"own\" failed (add): it exited with code 1")),
    ("Slow", None),
    ("SlowAfterwards", None),
    ("ChildWithTheOutput", None),
    ("Flood", Some("it printed more than a result can be")),
    ("Words", None),
    ("NotText", Some("is not JSON")),
    ("Null", Some("gave the pod no address")),
    ("OtherVersion", Some("\"7.0.0\"")),
    ("NoVersion", Some("\"10.99.0.300/24\" is not an address")),
    ("NoAddress", Some("gave the pod no address")),
    ("NoSuchInterface", Some("gave the pod no address")),
    ("Deep", Some("is not JSON")),
    ("Killed", Some("it was ended by signal 9")),
    ("Crashed", Some("it was ended by signal 4")),
];

#[test]
fn whatever_a_plugin_does_on_add_is_told_in_words_and_undone() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        is_in_use(node, cni, FILE, &bridge_and(cni, &[])).await;
        for (way, words) in WAYS {
            cni.configure(FILE, &bridge_and(cni, &[("mischief", json!({"always": way}))]));
            tokio::time::sleep(Duration::from_millis(300)).await;
            let begun = Instant::now();
            match (node.pod(way).try_run().await, words) {
                (Ok(pod), None) => {
                    assert!(addresses(&pod).await[0].starts_with("10.81.0."), "{way}");
                    pod.stop().await;
                }
                (Err(status), Some(words)) => {
                    let told = status.message();
                    assert!(told.contains(words) && told.len() < 4000, "{way}: {told}");
                    assert!(told.contains("failed to setup network for sandbox"), "{way}: {told}");
                }
                (outcome, words) => panic!("{way}: {outcome:?} and not {words:?}"),
            }
            assert!(begun.elapsed() < Duration::from_secs(8), "{way}: {:?}", begun.elapsed());
            nothing_is_kept(node).await;
        }
        // It ends by itself.
        tokio::time::sleep(Duration::from_secs(3)).await;
    });
}

#[test]
fn a_program_that_is_being_replaced_is_waited_for() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        is_in_use(node, cni, FILE, &bridge_and(cni, &[])).await;
        let (path, whole) = (Path::new(cni::PLUGINS).join("own"), std::fs::read(place::binary("gorae-test-plugin")));
        let whole = whole.unwrap();
        for (i, part) in [Some(0), Some(whole.len() / 16), None].into_iter().enumerate() {
            // In place, as `cp -f` does.
            match part {
                Some(part) => std::fs::write(&path, &whole[..part]).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let run = tokio::spawn(node.pod(&format!("p{i}")).try_run());
            tokio::time::sleep(Duration::from_millis(700)).await;
            assert!(!run.is_finished(), "{part:?}");
            cni.install_as(&place::binary("gorae-test-plugin"), "own");
            let pod = run.await.unwrap().unwrap();
            pod.stop().await;
        }
        // A writer that is slow keeps the file open.
        let mut options = std::fs::File::options();
        let writer = options.write(true).open(&path).unwrap();
        let run = tokio::spawn(node.pod("busy").try_run());
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!run.is_finished());
        drop(writer);
        run.await.unwrap().unwrap().stop().await;
    });
}
