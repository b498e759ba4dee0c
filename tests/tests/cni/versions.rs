// SPDX-License-Identifier: Apache-2.0
//! Every version of the specification that networks are configured in.

use super::frame::{FILE, addresses, bridge, is_in_use, list, nothing_is_kept, on_a_cni_node};
use super::recorder::{recorded, recorder};
use serde_json::{Value, json};

/// Runs and removes a pod in a network of this version, and returns what the plugin behind the bridge was given for DEL.
fn del_of(version: &'static str) -> Value {
    let mut del = Value::Null;
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let plugins = json!([bridge("br1", &["10.81.0.0/24", "fd00:81::/64"]), recorder(cni, "recorder")]);
        is_in_use(node, cni, FILE, &list("one", version, &plugins)).await;
        let pod = node.pod("a").run().await;
        let at = addresses(&pod).await;
        assert!(at.len() == 2 && at[0].starts_with("10.81.0."), "{version}: {at:?}");
        let add = recorded("recorder", "ADD").input;
        assert_eq!((&add["cniVersion"], &add["prevResult"]["cniVersion"]), (&json!(version), &json!(version)));
        node.kill_and_restart().await;
        pod.stop().await;
        nothing_is_kept(node).await;
        del = recorded("recorder", "DEL").input;
        assert_eq!(del["cniVersion"], version);
    });
    del
}

#[test]
fn below_version_0_4_0_a_plugin_gets_no_result_on_del() {
    assert_eq!(del_of("0.3.1").get("prevResult"), None);
}

#[test]
fn from_version_0_4_0_on_a_plugin_gets_the_result_of_the_whole_add_on_del() {
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let result = del_of(version)["prevResult"].clone();
        assert_eq!((&result["cniVersion"], result["ips"].as_array().unwrap().len()), (&json!(version), 2), "{result}");
    }
}

#[test]
fn a_configuration_in_the_form_of_a_single_plugin_is_a_network_too() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let mut plugin = bridge("br1", &["10.81.0.0/24"]);
        plugin["name"] = "single".into();
        plugin["cniVersion"] = "0.4.0".into();
        is_in_use(node, cni, "10-test.conf", &plugin.to_string()).await;
        assert!(addresses(&node.pod("a").run().await).await[0].starts_with("10.81.0."));
    });
}
