// SPDX-License-Identifier: Apache-2.0
//! What a plugin is given: its environment and its standard input.

use crate::capability::Capabilities;
use crate::list::{List, Plugin};
use serde_json::{Map, Value, json};
use std::fmt;

/// What a plugin is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Add the pod to the network.
    Add,
    /// Undo that.
    Del,
    /// Check that it is as it was made.
    Check,
    /// Remove what belongs to no attachment.
    Gc,
    /// Say whether pods can be added.
    Status,
}

impl Command {
    /// The value of `CNI_COMMAND`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Add => "add",
            Self::Del => "delete",
            Self::Check => "check",
            Self::Gc => "gc",
            Self::Status => "status",
        };
        f.write_str(word)
    }
}

/// The pod and the interface that a call is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject<'a> {
    /// The pod's id.
    pub container_id: &'a str,
    /// Path of its network namespace; empty when that is gone.
    pub netns: &'a str,
    /// The interface inside.
    pub interface: &'a str,
    /// `CNI_ARGS`, as one text.
    pub arguments: &'a str,
    /// The values of capabilities.
    pub capabilities: &'a Capabilities,
}

/// The variables of a call; every one is set, as libcni does, empty when it has no meaning.
pub fn variables(command: Command, subject: Option<&Subject<'_>>, search: &str) -> Vec<(String, String)> {
    let of = |get: for<'s> fn(&'s Subject<'_>) -> &'s str| subject.map(get).unwrap_or_default().to_owned();
    [
        ("CNI_COMMAND", command.name().to_owned()),
        ("CNI_CONTAINERID", of(|s| s.container_id)),
        ("CNI_NETNS", of(|s| s.netns)),
        ("CNI_IFNAME", of(|s| s.interface)),
        ("CNI_ARGS", of(|s| s.arguments)),
        ("CNI_PATH", search.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The standard input of a call about a pod.
pub fn input(list: &List, plugin: &Plugin, capabilities: &Capabilities, previous: Option<&Value>) -> Vec<u8> {
    let mut object = of_list(list, plugin);
    if let Some(values) = capabilities.wanted(|key| plugin.wants(key)) {
        object.insert("runtimeConfig".into(), values.into());
    }
    if let Some(previous) = previous {
        object.insert("prevResult".into(), previous.clone());
    }
    Value::from(object).to_string().into_bytes()
}

/// The standard input of STATUS.
pub fn status_input(list: &List, plugin: &Plugin) -> Vec<u8> {
    Value::from(of_list(list, plugin)).to_string().into_bytes()
}

/// The standard input of GC: the attachments that are in use, as (pod's id, interface). Plugins of different ages read
/// them under different keys.
pub fn gc_input(list: &List, plugin: &Plugin, valid: &[(String, String)]) -> Vec<u8> {
    let mut object = of_list(list, plugin);
    let all: Value = valid.iter().map(|(id, interface)| json!({"containerID": id, "ifname": interface})).collect();
    object.insert("cni.dev/valid-attachments".into(), all.clone());
    object.insert("cni.dev/attachments".into(), all);
    Value::from(object).to_string().into_bytes()
}

/// The plugin's object, with the name and the version of its list.
fn of_list(list: &List, plugin: &Plugin) -> Map<String, Value> {
    let mut object = plugin.object().clone();
    for key in ["prevResult", "cniVersions"] {
        object.remove(key);
    }
    object.insert("name".into(), list.name.clone().into());
    object.insert("cniVersion".into(), list.version.as_str().into());
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::parse;

    fn list() -> List {
        let text = br#"{"name":"n","cniVersion":"1.0.0","plugins":[
            {"type":"a","capabilities":{"dns":true},"prevResult":{"evil":1},"x":[1,{"y":null}]},
            {"type":"b","runtimeConfig":{"mine":1}}]}"#;
        parse(text, |_| Ok(Vec::new())).unwrap()
    }

    #[test]
    fn a_plugin_gets_its_object_with_name_version_values_and_the_result_before() {
        let mut capabilities = Capabilities::default();
        capabilities.dns(&["10.0.0.10".into()], &[], &[]);
        capabilities.cgroup_path("/pods");
        let list = list();
        let previous = json!({"ips": []});
        let got: Value =
            serde_json::from_slice(&input(&list, &list.plugins[0], &capabilities, Some(&previous))).unwrap();
        let expected = json!({
            "name": "n", "cniVersion": "1.0.0", "type": "a", "capabilities": {"dns": true}, "x": [1, {"y": null}],
            "runtimeConfig": {"dns": {"servers": ["10.0.0.10"], "searches": [], "options": []}},
            "prevResult": {"ips": []},
        });
        assert_eq!(got, expected);
        let bare: Value = serde_json::from_slice(&status_input(&list, &list.plugins[0])).unwrap();
        assert!(bare.get("prevResult").is_none() && bare.get("runtimeConfig").is_none());
        // What stands there stays, unless there are values of ours.
        let own: Value = serde_json::from_slice(&input(&list, &list.plugins[1], &capabilities, None)).unwrap();
        assert_eq!(own["runtimeConfig"], json!({"mine": 1}));
    }

    #[test]
    fn gc_names_what_is_valid_under_both_keys() {
        let list = list();
        let valid = [("p".to_owned(), "eth0".to_owned())];
        let got: Value = serde_json::from_slice(&gc_input(&list, &list.plugins[0], &valid)).unwrap();
        assert_eq!(got["cni.dev/valid-attachments"], json!([{"containerID": "p", "ifname": "eth0"}]));
        assert_eq!(got["cni.dev/attachments"], got["cni.dev/valid-attachments"]);
    }

    #[test]
    fn every_variable_is_set() {
        let capabilities = Capabilities::default();
        let subject =
            Subject { container_id: "p", netns: "", interface: "eth0", arguments: "A=b", capabilities: &capabilities };
        let names = |all: Vec<(String, String)>| all.into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        assert_eq!(
            names(variables(Command::Del, Some(&subject), "/a:/b")),
            ["CNI_COMMAND=DEL", "CNI_CONTAINERID=p", "CNI_NETNS=", "CNI_IFNAME=eth0", "CNI_ARGS=A=b", "CNI_PATH=/a:/b"]
        );
        assert_eq!(names(variables(Command::Status, None, "/a")).len(), 6);
    }
}
