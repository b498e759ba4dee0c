// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::process::{Seccomp, SeccompProfile};
use crate::sample::{everything, least};
use oci_spec::runtime::Spec;

const BOB: Identity<'static> = Identity { uid: 1000, gid: 7, gids: &[7, 20, 30] };

fn written(order: &Order<'_>, identity: Option<Identity<'_>>) -> Value {
    config(order, identity).expect("every order can be written")
}

/// Normalizes a value as oci-spec does: capabilities have no order, and a pipe has numbers, too.
fn as_others_write_it(mut value: Value) -> Value {
    for set in value["process"]["capabilities"].as_object_mut().expect("sets").values_mut() {
        let names = set.as_array_mut().expect("names");
        names.sort_by_key(|name| name.to_string());
    }
    for device in value["linux"]["devices"].as_array_mut().expect("devices") {
        if device["type"] == "p" {
            (device["major"], device["minor"]) = (0.into(), 0.into());
        }
    }
    value
}

/// The paths at which two values differ.
fn differences(left: &Value, right: &Value, at: &str) -> Vec<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            let null = Value::Null;
            let of = |map: &serde_json::Map<String, Value>, key: &str| map.get(key).unwrap_or(&null).clone();
            keys.into_iter()
                .flat_map(|key| differences(&of(left, key), &of(right, key), &format!("{at}/{key}")))
                .collect()
        }
        _ if left == right => Vec::new(),
        _ => vec![format!("{at}: {left} and {right}")],
    }
}

/// The paths at which a value is null.
fn nulls(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Null => vec![at.to_owned()],
        Value::Object(map) => map.iter().flat_map(|(key, value)| nulls(value, &format!("{at}/{key}"))).collect(),
        Value::Array(list) => list.iter().flat_map(|value| nulls(value, &format!("{at}/-"))).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_is_written_is_read_by_others_without_loss() {
    for (order, identity) in [(least(), None), (everything(), None), (everything(), Some(BOB))] {
        let value = written(&order, identity);
        assert_eq!(nulls(&value, ""), [""; 0]);
        let spec: Spec = serde_json::from_value(value.clone()).expect("it is a specification");
        let (value, read) = (as_others_write_it(value), as_others_write_it(serde_json::to_value(&spec).expect("JSON")));
        assert_eq!(differences(&value, &read, ""), [""; 0]);
    }
}

#[test]
fn everything_of_an_order_has_its_place() {
    let value = written(&everything(), Some(BOB));
    let table = [
        ("/process/terminal", json!(true)),
        ("/process/user", json!({"uid": 1000, "gid": 7, "additionalGids": [7, 20, 30]})),
        ("/process/args", json!(["sh", "-c"])),
        ("/process/env", json!(["A=1", "B=\u{fffd}"])),
        ("/process/cwd", json!("/work")),
        ("/process/capabilities/bounding", json!(["CAP_CHOWN", "CAP_NET_BIND_SERVICE"])),
        ("/process/capabilities/inheritable", json!(["CAP_NET_BIND_SERVICE"])),
        ("/process/capabilities/ambient", json!([])),
        ("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}])),
        ("/process/noNewPrivileges", json!(true)),
        ("/process/apparmorProfile", json!("profile")),
        ("/process/selinuxLabel", json!("u:r:t:s0")),
        ("/process/oomScoreAdj", json!(-5)),
        ("/root", json!({"path": "rootfs", "readonly": true})),
        ("/hostname", json!("web")),
        ("/annotations", json!({"note": "a \"b\""})),
        ("/hooks/createRuntime/0", json!({"path": "/bin/hook", "args": ["sh", "-c"], "env": ["H=1"], "timeout": 3})),
        ("/hooks/poststop", json!([{"path": "/bin/hook"}])),
        ("/linux/cgroupsPath", json!("/gorae/pod/c1")),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}])),
        ("/linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}])),
        ("/linux/sysctl", json!({"net.core.somaxconn": "7"})),
        ("/linux/rootfsPropagation", json!("rshared")),
        ("/linux/maskedPaths", json!(["/proc/kcore"])),
        ("/linux/readonlyPaths", json!(["/proc/sys"])),
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO")),
        ("/linux/resources/cpu", json!({"period": 50_000, "quota": -1, "shares": 102, "cpus": "0-1", "mems": "0"})),
        ("/linux/resources/memory", json!({"limit": 64 << 20, "swap": 96 << 20})),
        ("/linux/resources/pids", json!({"limit": 9})),
        ("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 0}])),
        ("/linux/resources/unified", json!({"memory.high": "1"})),
    ];
    for (place, expected) in table {
        assert_eq!(value.pointer(place), Some(&expected), "{place}");
    }
}

#[test]
fn namespaces_and_devices_are_those_of_the_order() {
    let value = written(&everything(), Some(BOB));
    let namespaces = json!([
        {"type": "mount"},
        {"type": "user", "path": "/run/pod/ns/user"},
        {"type": "network", "path": "/run/pod/ns/net"},
        {"type": "uts", "path": "/run/pod/ns/uts"},
        {"type": "ipc", "path": "/run/pod/ns/ipc"},
        {"type": "pid", "path": "/proc/9/ns/pid"},
        {"type": "cgroup"},
    ]);
    assert_eq!(value["linux"]["namespaces"], namespaces);
    let devices = json!([
        {"path": "/dev/c", "type": "c", "major": 1, "minor": 3, "fileMode": 0o660, "uid": 0, "gid": 5},
        {"path": "/dev/b", "type": "b", "major": 7, "minor": 0, "fileMode": 0o660, "uid": 1000, "gid": 6},
        {"path": "/dev/p", "type": "p", "fileMode": 0o660, "uid": 4, "gid": 7},
    ]);
    assert_eq!(value["linux"]["devices"], devices);
    let rules = json!([
        {"allow": false, "type": "a", "access": "rwm"},
        {"allow": true, "type": "b", "access": "m"},
        {"allow": true, "type": "c", "major": 136, "access": "rwm"},
    ]);
    assert_eq!(value["linux"]["resources"]["devices"], rules);
}

#[test]
fn each_kind_of_mount_has_its_options() {
    let value = written(&everything(), None);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    let table = [
        json!(["/proc", "proc", "proc", ["nosuid", "nodev", "noexec"]]),
        json!(["/dev", "tmpfs", "tmpfs", ["mode=755", "size=1k"]]),
        json!(["/dev/pts", "devpts", "devpts", ["gid=5"]]),
        json!(["/dev/mqueue", "mqueue", "mqueue", []]),
        json!(["/sys", "sysfs", "sysfs", ["ro"]]),
        json!(["/sys/fs/cgroup", "cgroup", "cgroup", []]),
        json!(["/srv", "bind", "/srv", ["rbind", "rslave", "rro"]]),
        json!(["/one", "bind", "/srv/one", ["bind", "rshared"]]),
        json!(["/etc/hosts", "bind", "/etc/h", ["rbind", "rprivate", "ridmap"]]),
        json!(["/data", "bind", "/var/c1/volumes/0", ["bind", "rprivate"]]),
        json!(["/image", "overlay", "overlay", ["lowerdir=/l/2:/l/1\\:0", "ro"]]),
        json!(["/layer", "bind", "/l/2", ["bind", "rprivate", "ro"]]),
    ];
    let mounts = value["mounts"].as_array().expect("mounts");
    assert_eq!(mounts.len(), table.len());
    for (mount, expected) in mounts.iter().zip(table) {
        let told = json!([mount["destination"], mount["type"], mount["source"], mount["options"]]);
        assert_eq!(told, expected);
        assert_eq!(mount.get("uidMappings"), (mount["destination"] == "/etc/hosts").then_some(&map));
    }
}

#[test]
fn a_user_that_is_not_known_yet_is_said_as_far_as_it_goes() {
    let named = written(&everything(), None);
    let expected = json!({"uid": 0, "gid": 7, "additionalGids": [7, 20, 30], "username": "bob"});
    assert_eq!(named["process"]["user"], expected);
    assert_eq!(written(&least(), None)["process"]["user"], json!({"uid": 0, "gid": 0, "additionalGids": [0]}));
}

#[test]
fn a_profile_of_a_file_is_written_for_the_capabilities_of_the_process() {
    let text = br#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["read"],"action":"SCMP_ACT_KILL","includes":{"caps":["CAP_CHOWN"]}}]}"#;
    let mut order = everything();
    let filter = gorae_seccomp::from_profile_json(text, 1).expect("compiles");
    order.process.seccomp = Some(Seccomp { filter, profile: SeccompProfile::Text(text.to_vec()) });
    let with = written(&order, None);
    assert_eq!(with["linux"]["seccomp"]["syscalls"][0]["action"], "SCMP_ACT_KILL_THREAD");
    order.process.capabilities.bounding = 0;
    assert_eq!(written(&order, None)["linux"]["seccomp"]["syscalls"][0]["action"], "SCMP_ACT_ALLOW");
    order.process.seccomp =
        Some(Seccomp { filter: gorae_seccomp::default_filter(0), profile: SeccompProfile::Text(b"{".to_vec()) });
    assert!(config(&order, None).is_err(), "an unreadable profile is an error");
}
