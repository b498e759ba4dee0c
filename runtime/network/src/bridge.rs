// SPDX-License-Identifier: Apache-2.0
//! The interface that has the gateway's addresses. Blocking.
//!
//! It is a bridge because every kernel that runs pods has bridges. Pods are not its ports: the node routes to each of
//! them. Only those that an earlier daemon started still are, until they end.

use crate::error::NetworkError;
use crate::netlink::Rtnl;
use crate::{names, sysctl};
use ipnet::IpNet;

/// MTU when the node has no default route to take it from.
const USUAL_MTU: u32 = 1500;

/// Index of the loopback interface.
const LOOPBACK: u32 = 1;

/// The bridge as it should be.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Its addresses, the pods' gateways.
    pub gateways: Vec<IpNet>,
    /// MTU; `None` takes that of the default route's interface, so that packets from pods fit on their way out.
    pub mtu: Option<u32>,
}

/// A bridge that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Interface index.
    pub index: u32,
    /// MTU of bridge and pods.
    pub mtu: u32,
    /// Pods of an earlier daemon are its ports.
    pub has_ports: bool,
}

impl Bridge {
    /// Creates whatever is missing of the bridge, and sets the node's sysctls for routing.
    ///
    /// # Errors
    /// [`NetworkError::NotABridge`], [`NetworkError::ForeignBridge`] when the name belongs to something else;
    /// [`NetworkError::Netlink`], [`NetworkError::Sysctl`] with the kernel's error.
    pub fn ensure(&self, rtnl: &mut Rtnl) -> Result<Ready, NetworkError> {
        let mtu = pod_mtu(rtnl, self.mtu)?;
        if rtnl.link(&self.name)?.is_none() {
            rtnl.create_bridge(&self.name, names::hardware_address(&self.name), mtu)?;
        }
        let Some(link) = rtnl.link(&self.name)?.filter(|link| link.is_bridge) else {
            return Err(NetworkError::NotABridge { name: self.name.clone() });
        };
        self.refuse_foreign(rtnl, link.index)?;
        let ipv6 = self.gateways.iter().any(|net| matches!(net, IpNet::V6(_)));
        sysctl::settle_bridge(&self.name, ipv6)?;
        sysctl::answer_on_bridge(&self.name, ipv6)?;
        for gateway in &self.gateways {
            rtnl.add_address(&self.name, link.index, *gateway)?;
        }
        rtnl.set_up(&self.name, link.index, mtu)?;
        if self.gateways.iter().any(|net| matches!(net, IpNet::V4(_))) {
            sysctl::forward_ipv4()?;
        }
        if ipv6 {
            sysctl::forward_ipv6()?;
        }
        let has_ports = rtnl.links()?.iter().any(|port| port.is_port_of(Some(link.index)));
        Ok(Ready { index: link.index, mtu, has_ports })
    }

    /// Refuses a bridge with an IPv4 address that is not ours, because the bridge is then not ours either.
    fn refuse_foreign(&self, rtnl: &mut Rtnl, index: u32) -> Result<(), NetworkError> {
        let on_it = |(of, net): (u32, IpNet)| (of == index && matches!(net, IpNet::V4(_))).then_some(net);
        let strange = rtnl.addresses()?.into_iter().filter_map(on_it).find(|net| !self.gateways.contains(net));
        match (strange, self.gateways.first()) {
            (Some(found), Some(wanted)) => {
                Err(NetworkError::ForeignBridge { name: self.name.clone(), found, wanted: *wanted })
            }
            _ => Ok(()),
        }
    }
}

/// The MTU of a new pod: the configured one, else that of the interface with the default route of the main table that
/// counts, of IPv4 if there is one.
///
/// # Errors
/// [`NetworkError::Netlink`].
pub fn pod_mtu(rtnl: &mut Rtnl, configured: Option<u32>) -> Result<u32, NetworkError> {
    if let Some(mtu) = configured {
        return Ok(mtu);
    }
    // The kernel has an unreachable IPv6 default route on loopback until there is a real one.
    let mut ways: Vec<_> = rtnl.routes()?.into_iter().filter(|route| route.to.prefix_len() == 0).collect();
    ways.retain(|route| route.is_main && route.via.is_some_and(|index| index != LOOPBACK));
    ways.sort_by_key(|route| (matches!(route.to, IpNet::V6(_)), route.metric));
    let Some(index) = ways.first().and_then(|route| route.via) else { return Ok(USUAL_MTU) };
    Ok(rtnl.link_at(index)?.map_or(USUAL_MTU, |link| link.mtu))
}
