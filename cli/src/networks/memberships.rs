// SPDX-License-Identifier: Apache-2.0
//! The networks of one pod, as `inspect` and `ps` show them.

use crate::client::Client;
use crate::failure;
use crate::networks;
use anyhow::Result;
use gorae_proto::gorae::Network;
use serde_json::{Map, Value, json};
use tonic::Code;

/// All networks with their pods; `None` when the daemon does not have networks.
///
/// # Errors
/// When the daemon refuses.
pub async fn all(client: &Client) -> Result<Option<Vec<Network>>> {
    match networks::list(client).await {
        Ok(all) => Ok(Some(all)),
        Err(error) if failure::code(&error) == Some(Code::Unimplemented) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The networks that a pod is in.
pub fn of_pod<'a>(all: &'a [Network], pod: &str) -> impl Iterator<Item = &'a Network> {
    all.iter().filter(move |network| network.members.iter().any(|member| member.pod_id == pod))
}

/// The networks that a pod is in, by name.
pub fn shown(all: &[Network], pod: &str) -> Value {
    let entry = |network: &Network| {
        let member = network.members.iter().find(|member| member.pod_id == pod)?;
        let value = json!({
            "networkId": network.id,
            "interface": member.interface,
            "addresses": member.addresses,
            "mac": member.mac,
            "names": member.names,
        });
        Some((network.name.clone(), value))
    };
    Value::Object(all.iter().filter_map(entry).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::gorae::NetworkMember;

    #[test]
    fn only_the_pods_own_interfaces_are_shown() {
        let member = |pod: &str, address: &str| NetworkMember {
            pod_id: pod.into(),
            interface: "eth0".into(),
            addresses: vec![address.into()],
            names: vec!["web".into()],
            ..Default::default()
        };
        let network =
            |name: &str, members| Network { id: "12ab".into(), name: name.into(), members, ..Default::default() };
        let all = [
            network("back", vec![member("q", "10.1.0.2/24"), member("p", "10.1.0.3/24")]),
            network("front", vec![member("q", "10.2.0.2/24")]),
        ];
        let back = json!({ "networkId": "12ab", "interface": "eth0", "addresses": ["10.1.0.3/24"], "mac": "", "names": ["web"] });
        assert_eq!(shown(&all, "p"), json!({ "back": back }));
        assert_eq!(shown(&all, "r"), json!({}));
    }
}
