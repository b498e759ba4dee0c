// SPDX-License-Identifier: Apache-2.0
//! Connects a pod whose namespaces exist to what was reserved for it.

use super::reached::Reached;
use super::reserve::Wanted;
use super::{Network, Record, State, attach, readdress, user_networks};
use crate::error::{Error, Result};
use crate::ids;
use crate::node::Node;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Connects the pod, and opens its host ports.
///
/// # Errors
/// Those of its network; undoing it is the caller's part, as for any other pod.
pub async fn reach(node: &Arc<Node>, record: &Record, wanted: &Wanted) -> Result<Reached> {
    let mut reached = reach_first(node, record, wanted).await?;
    if !matches!(wanted, Wanted::People) && user_networks::are_reserved(node, record) {
        reached.addresses.extend(user_networks::attach(node, record).await?.addresses);
        reached.asks_names = true;
    }
    if record.settings.is_some() && matches!(record.network, Network::People | Network::Builtin { .. }) {
        user_networks::set_sysctls(node, record).await?;
    }
    Ok(reached)
}

async fn reach_first(node: &Arc<Node>, record: &Record, wanted: &Wanted) -> Result<Reached> {
    match wanted {
        Wanted::Nothing => {
            let of_node = matches!(record.network, Network::Host).then(|| Ipv4Addr::LOCALHOST.into());
            Ok(Reached { node: of_node, ..Reached::default() })
        }
        Wanted::Of(_) => Ok(Reached { addresses: of_host(node, record)?, ..Reached::default() }),
        Wanted::Builtin(_, at) => {
            if !record.config.port_mappings.is_empty() {
                node.networks.builtin.publish(&record.id).await?;
            }
            Ok(Reached { addresses: record.network.given_out().to_vec(), node: *at, ..Reached::default() })
        }
        Wanted::Cni(chosen) => {
            let addresses = attach::attach(&node.machine, &node.networks.cni, record, chosen).await?;
            publish_at(node, record, &addresses).await?;
            Ok(Reached { published: Some(addresses.clone()), addresses, ..Reached::default() })
        }
        Wanted::People => {
            let joined = user_networks::attach(node, record).await?;
            let published = readdress::published(&node.networks, record);
            if !published.is_empty() {
                publish_at(node, record, &published).await?;
            }
            Ok(Reached {
                addresses: joined.addresses,
                published: Some(published),
                node: joined.gateway,
                asks_names: user_networks::are_reserved(node, record),
            })
        }
    }
}

/// The addresses of the pod whose network this one shares. One that was stopped meanwhile has none any more.
fn of_host(node: &Node, record: &Record) -> Result<Vec<IpAddr>> {
    let Network::Of { pod, .. } = &record.network else { return Ok(Vec::new()) };
    match node.objects.pods.get(pod).map(|host| host.state()) {
        Some(State::Ready(up)) => Ok(up.addresses),
        _ => Err(Error::precondition(format!("network of pod {}: the pod was stopped meanwhile", ids::short(pod)))),
    }
}

async fn publish_at(node: &Node, record: &Record, addresses: &[IpAddr]) -> Result<()> {
    if record.config.port_mappings.is_empty() {
        return Ok(());
    }
    Ok(node.networks.builtin.publish_at(&record.id, addresses).await?)
}
