// SPDX-License-Identifier: Apache-2.0
//! How packets of the node reach a pod, whoever made its interface: what the rules of a host port need to know.

use crate::netlink::{Rtnl, Way};
use crate::state::blocking;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The ways to addresses of pods.
pub type Ways = HashMap<IpAddr, Way>;

/// Finds the ways. An address without a route stays out: its pod may be going.
pub async fn find(ips: BTreeSet<IpAddr>) -> Ways {
    if ips.is_empty() {
        return Ways::new();
    }
    let found = blocking(move || {
        let mut rtnl = Rtnl::open()?;
        let way = |ip| match rtnl.way(ip) {
            Ok(way) => Some((ip, way)),
            Err(error) => {
                tracing::debug!(%error, "the rules of a pod's host ports know only its address");
                None
            }
        };
        Ok(ips.into_iter().filter_map(way).collect())
    });
    found.await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the rules of host ports know only the pods' addresses");
        Ways::new()
    })
}
