// SPDX-License-Identifier: Apache-2.0
//! Attaches a pod to a CNI network, once its namespace exists.

use super::{Record, netns, request};
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::networks::capabilities;
use gorae_attachments::{CniNetwork, Wish};
use gorae_cni::arguments::Pod;
use gorae_cni::directory::Chosen;
use gorae_proto::shim::SetSysctls;
use gorae_shims as shims;
use std::net::IpAddr;

/// The interface of a pod, as Kubernetes has it.
const INTERFACE: &str = "eth0";

/// Attaches the pod, sets the sysctls of its interfaces, and returns its addresses, IPv4 first: that is the family of most
/// clusters, and the order that both peers have.
///
/// # Errors
/// The plugin's, or the kernel's for a sysctl; undoing the attachment is the caller's part, as for any other pod.
pub async fn attach(machine: &Machine, cni: &CniNetwork, record: &Record, chosen: &Chosen) -> Result<Vec<IpAddr>> {
    let metadata = record.config.metadata.clone().unwrap_or_default();
    let netns = record.netns.as_deref().map(netns::named).unwrap_or_default();
    let wish = Wish {
        pod: Pod { id: &record.id, namespace: &metadata.namespace, name: &metadata.name, uid: &metadata.uid },
        netns: &netns,
        interface: INTERFACE,
        list: &chosen.list,
        capabilities: &capabilities(&record.config)?,
        directories: cni.plugins(),
    };
    let added = cni.attachments().add(wish).await;
    let mut addresses = added.map_err(|e| Error::from(e).during("failed to setup network for sandbox"))?;
    addresses.sort_by_key(IpAddr::is_ipv6);
    let mut sysctls = request::sysctls(&record.config)?;
    sysctls.retain(request::is_of_interface);
    if !sysctls.is_empty() {
        shims::set_sysctls(&machine.spawner, &record.id, SetSysctls { netns: record.netns_on_wire(), sysctls }).await?;
    }
    Ok(addresses)
}
