// SPDX-License-Identifier: Apache-2.0
//! Records of every version that was ever written, in `golden/KIND-VERSION`. This build must read each of them, or an
//! upgrade costs a node its pods. These files are never changed; fields that were added later are not in them.

use crate::{container, names, pod, records};
use gorae_kernel::checked;
use gorae_network::record::{self as network, Record as NetworkRecord};
use gorae_proto::shim::{ContainerState, Stopping, container_state::Phase};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name)
}

/// The fields of `wanted` that are missing in `found` or differ there. Added fields are fine.
fn lost(wanted: &Value, found: &Value, at: &str) -> Vec<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .flat_map(|(key, value)| lost(value, found.get(key).unwrap_or(&Value::Null), &format!("{at}.{key}")))
            .collect(),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).flat_map(|(wanted, found)| lost(wanted, found, at)).collect()
        }
        _ if wanted == found => Vec::new(),
        _ => vec![format!("{at} was {wanted} and is {found}")],
    }
}

/// The fields that hold the default of a field that was not read.
fn empty(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().flat_map(|(key, value)| empty(value, &format!("{at}.{key}"))).collect()
        }
        Value::Array(list) if !list.is_empty() => list.iter().flat_map(|value| empty(value, at)).collect(),
        Value::Bool(true) => Vec::new(),
        Value::Number(n) if n.as_f64() != Some(0.0) => Vec::new(),
        Value::String(text) if !text.is_empty() => Vec::new(),
        _ => vec![at.to_owned()],
    }
}

/// Reads a file as this build does, and checks that each of its fields was read.
fn is_read<T: Serialize + DeserializeOwned>(kind: &'static str, version: u32, known: u32) {
    let path = golden(&format!("{kind}-{version}"));
    let bytes = std::fs::read(&path).expect("it exists");
    let whole = checked::decode(kind, known, &bytes).expect("whole");
    assert_eq!(whole.version, version);
    let wanted: Value = serde_json::from_slice(whole.body).expect("JSON");
    assert_eq!(empty(&wanted, kind), [""; 0]);
    let read = records::read::<T>(&path, kind, known).unwrap_or_else(|e| panic!("{e}")).expect("it exists");
    assert_eq!(lost(&wanted, &serde_json::to_value(read).expect("JSON"), kind), [""; 0]);
}

/// The content of `state-1`.
pub fn state() -> ContainerState {
    ContainerState {
        phase: Phase::Exited.into(),
        container_id: "c".repeat(64),
        pid: 4711,
        pid_start_ticks: 5_000_000_001,
        started_at_ns: 1_700_000_000_000_000_001,
        finished_at_ns: 1_700_000_000_000_000_002,
        exit_code: 137,
        oom_killed: true,
        reason: "StartError".into(),
        message: "exec /x: no such file".into(),
        uid: 1000,
        gid: 1001,
        gids: vec![1001, 27],
        boot_id: "2b1d3a5e-0000-4000-8000-000000000001".into(),
        shim_pid: 4242,
        stopping: Some(Stopping { since_ns: 1_700_000_000_000_000_003, stuck: "pid 12 in D".into() }),
        hook_error: "poststop: exit 1".into(),
        // It was written before this number existed.
        protocol: 0,
    }
}

#[test]
fn the_records_of_every_version_are_read_with_every_field() {
    is_read::<pod::Record>("pod", 1, pod::RECORD_VERSION);
    is_read::<pod::Up>("ready", 1, 1);
    is_read::<container::Record>("container", 1, container::RECORD_VERSION);
    is_read::<container::Exit>("end", 1, 1);
    is_read::<pod::Resources>("resources", 1, 1);
    is_read::<names::Record>("names", 1, 1);
    is_read::<NetworkRecord>("network", 1, network::RECORD_VERSION);
    is_read::<NetworkRecord>("network", 2, network::RECORD_VERSION);
}

#[test]
fn the_states_of_every_version_are_read_with_every_field() {
    let dir = tempfile::tempdir().expect("tempdir");
    std::fs::copy(golden("state-1"), dir.path().join("state")).expect("copied");
    assert_eq!(container::read_state(dir.path()).expect("readable"), Some(state()));
}

#[test]
fn each_file_is_read_by_a_test() {
    let files = std::fs::read_dir(golden("")).expect("directory").map(|entry| entry.expect("entry").file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().expect("text")).collect();
    files.sort();
    assert_eq!(
        files,
        ["container-1", "end-1", "names-1", "network-1", "network-2", "pod-1", "ready-1", "resources-1", "state-1"]
    );
}
