// SPDX-License-Identifier: Apache-2.0
//! The record of an attachment: all that its DEL needs, whatever the configuration says by then.

use gorae_cni::call::Subject;
use gorae_cni::capability::Capabilities;
use gorae_cni::list::{Invalid, List, parse};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// Version of the record.
pub const VERSION: u32 = 1;
/// Kind of the record.
pub const KIND: &str = "attachment";

/// How far an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The plugins' ADD may have begun.
    Adding,
    /// It has succeeded.
    Added,
    /// It is to be undone.
    Deleting,
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The pod's id: `CNI_CONTAINERID`.
    pub pod_id: String,
    /// Namespace and name of the pod, `NAMESPACE/NAME`, for people.
    pub pod_name: String,
    /// The path that plugins are given for the pod's network namespace.
    pub netns: String,
    /// The interface inside.
    pub interface: String,
    /// Name of the network.
    pub network: String,
    /// The configuration, as [`List::to_bytes`] writes it.
    pub configuration: String,
    /// `CNI_ARGS`.
    pub arguments: String,
    /// The values of capabilities.
    pub capabilities: Capabilities,
    /// Where the plugins' programs are.
    pub directories: Vec<PathBuf>,
    /// The result of ADD, once it has succeeded.
    pub result: Option<Value>,
    /// How far it is.
    pub phase: Phase,
    /// The boot in which the namespace exists.
    pub boot_id: String,
    /// When the DEL became owed, in seconds since 1970; 0: it is not owed.
    pub owed_since: u64,
}

impl Record {
    /// The configuration.
    ///
    /// # Errors
    /// [`Invalid`]: the record is of another program.
    pub fn list(&self) -> Result<List, Invalid> {
        parse(self.configuration.as_bytes(), |_| Ok(Vec::new()))
    }

    /// What plugins are told of the pod; `netns` is empty when the namespace is gone.
    pub fn subject<'a>(&'a self, netns: &'a str) -> Subject<'a> {
        Subject {
            container_id: &self.pod_id,
            netns,
            interface: &self.interface,
            arguments: &self.arguments,
            capabilities: &self.capabilities,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_kernel::checked;

    /// A record as it was first written. It must be readable for ever: the address in it is given back with it.
    const FIRST: &[u8] = include_bytes!("golden/attachment-1");

    fn record() -> Record {
        let mut capabilities = Capabilities::default();
        capabilities.cgroup_path("/kubepods/pod1");
        let configuration = r#"{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","mtu":1400}]}"#;
        Record {
            pod_id: "0123456789abcdef".into(),
            pod_name: "default/web".into(),
            netns: "/var/run/netns/cni-0123".into(),
            interface: "eth0".into(),
            network: "net".into(),
            configuration: configuration.into(),
            arguments: "IgnoreUnknown=1;K8S_POD_NAME=web".into(),
            capabilities,
            directories: vec!["/opt/cni/bin".into()],
            result: Some(serde_json::json!({"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]})),
            phase: Phase::Deleting,
            boot_id: "8a1e".into(),
            owed_since: 1_790_000_000,
        }
    }

    #[test]
    fn the_first_records_are_read() {
        let read = checked::decode(KIND, VERSION, FIRST).expect("whole");
        let read: Record = serde_json::from_slice(read.body).expect("JSON");
        assert_eq!(read, record());
        assert_eq!(read.list().expect("a list").plugins[0].kind(), "bridge");
    }
}
