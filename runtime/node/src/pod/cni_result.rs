// SPDX-License-Identifier: Apache-2.0
//! The result of a pod's network plugins in the shape that verbose statuses of the field have, and that tools read: the
//! interfaces by name, each with its addresses.

use gorae_attachments::Record;
use serde_json::{Map, Value, json};

/// The result that was kept, if the attachment has one. Addresses that belong to none of the result's interfaces are shown
/// with the pod's.
pub fn of(record: &Record) -> Option<Value> {
    let result = record.result.as_ref()?;
    let list = |key: &str| result.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<String> = list("interfaces").iter().map(|interface| word(interface, "name")).collect();
    let mut interfaces = Map::new();
    for interface in list("interfaces") {
        let shown = json!({"IPConfigs": [], "Mac": word(&interface, "mac"), "Sandbox": word(&interface, "sandbox")});
        interfaces.insert(word(&interface, "name"), shown);
    }
    for ip in list("ips") {
        let index = ip.get("interface").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let name = index.and_then(|index| names.get(index)).unwrap_or(&record.interface);
        let interface = interfaces.entry(name.clone()).or_insert_with(|| json!({"IPConfigs": []}));
        let address = word(&ip, "address");
        let address = address.split_once('/').map_or(address.as_str(), |(ip, _)| ip);
        if let Some(all) = interface.get_mut("IPConfigs").and_then(Value::as_array_mut) {
            all.push(json!({"IP": address, "Gateway": word(&ip, "gateway")}));
        }
    }
    Some(json!({"Interfaces": interfaces, "Routes": list("routes"), "DNS": [result.get("dns")]}))
}

fn word(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_attachments::Phase;

    fn kept(result: Value) -> Record {
        Record {
            pod_id: "a".into(),
            pod_name: "default/web".into(),
            netns: "/var/run/netns/cni-a".into(),
            interface: "eth0".into(),
            network: "net".into(),
            configuration: String::new(),
            arguments: String::new(),
            capabilities: gorae_cni::capability::Capabilities::default(),
            directories: Vec::new(),
            result: Some(result),
            phase: Phase::Added,
            boot_id: String::new(),
            owed_since: 0,
        }
    }

    #[test]
    fn interfaces_have_their_addresses() {
        let result = json!({
            "interfaces": [
                {"name": "cni0", "mac": "02:00:00:00:00:01"},
                {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/var/run/netns/cni-a"},
            ],
            "ips": [
                {"interface": 1, "address": "10.1.0.2/24", "gateway": "10.1.0.1"},
                {"address": "fd00::2/64"},
                {"interface": 9, "address": "10.9.0.2/24"},
            ],
            "routes": [{"dst": "0.0.0.0/0"}],
        });
        let shown = of(&kept(result)).expect("a result");
        assert_eq!(shown["Interfaces"]["eth0"]["IPConfigs"][0], json!({"IP": "10.1.0.2", "Gateway": "10.1.0.1"}));
        assert_eq!(shown["Interfaces"]["eth0"]["IPConfigs"].as_array().map(Vec::len), Some(3));
        assert_eq!(shown["Interfaces"]["cni0"]["IPConfigs"], json!([]));
        assert_eq!(shown["Routes"][0]["dst"], "0.0.0.0/0");
    }

    #[test]
    fn an_old_or_odd_result_is_shown_as_far_as_it_goes() {
        let shown = of(&kept(json!({"ips": [{"version": "4", "address": "10.1.0.2/24"}]}))).expect("a result");
        assert_eq!(shown["Interfaces"], json!({"eth0": {"IPConfigs": [{"IP": "10.1.0.2", "Gateway": ""}]}}));
        assert_eq!(of(&kept(json!({"ips": 3}))).expect("a result")["Interfaces"], json!({}));
        assert_eq!(of(&Record { result: None, ..kept(Value::Null) }), None);
    }
}
