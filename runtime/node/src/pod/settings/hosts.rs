// SPDX-License-Identifier: Apache-2.0
//! Names that people add to the hosts file of a pod.

use crate::error::{Error, Result};
use gorae_proto::gorae::HostName;
use std::net::IpAddr;

/// The most names that one pod gets.
pub const MAX_HOSTS: usize = 1024;
/// Stands for an address at which the pod reaches the node.
const GATEWAY: &str = "host-gateway";

/// Checks names and addresses.
///
/// # Errors
/// `InvalidArgument` with the entry.
pub fn check(hosts: &[HostName]) -> Result<()> {
    if hosts.len() > MAX_HOSTS {
        return Err(Error::invalid(format!("network.hosts: more than {MAX_HOSTS} entries")));
    }
    for HostName { name, address } in hosts {
        // A "#" would hide the rest of the line.
        let is_name = (1..=253).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !is_name {
            return Err(Error::invalid(format!("network.hosts: {name:?} is not a host name")));
        }
        if address != GATEWAY && address.parse::<IpAddr>().is_err() {
            return Err(Error::invalid(format!(
                "network.hosts: {address:?} for {name} is neither an address nor {GATEWAY}"
            )));
        }
    }
    Ok(())
}

/// The entries with their addresses, for a pod that reaches the node at `gateway`.
///
/// # Errors
/// `FailedPrecondition` when an entry asks for the gateway, and nobody knows one.
pub fn hosts(asked: &[HostName], gateway: Option<IpAddr>) -> Result<Vec<(IpAddr, String)>> {
    let of = |HostName { name, address }: &HostName| {
        let found = if address == GATEWAY { gateway } else { address.parse().ok() };
        let found = found.ok_or_else(|| {
            Error::precondition(format!(
                "network.hosts: {name}: the pod's network has no {GATEWAY} that gorae knows of; name an address instead"
            ))
        })?;
        Ok((found, name.clone()))
    };
    asked.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, address: &str) -> HostName {
        HostName { name: name.into(), address: address.into() }
    }

    #[test]
    fn an_entry_is_one_line_with_an_address() {
        check(&[host("db.lan", "192.0.2.7"), host("v6", "fd00::1"), host("me", "host-gateway")]).expect("valid");
        for (name, address) in [("", "192.0.2.1"), ("a b", "192.0.2.1"), ("a\nb", "::1"), ("a#", "::1"), ("a", "host")]
        {
            assert!(check(&[host(name, address)]).is_err(), "{name:?} {address}");
        }
        assert!(check(&vec![host("a", "::1"); MAX_HOSTS + 1]).is_err());
    }

    #[test]
    fn the_gateway_is_the_pods_way_to_the_node() {
        let asked = [host("a", "192.0.2.1"), host("me", "host-gateway")];
        let gateway: IpAddr = "10.1.0.1".parse().expect("address");
        let found = hosts(&asked, Some(gateway)).expect("known");
        assert_eq!(found, [("192.0.2.1".parse().expect("address"), "a".to_owned()), (gateway, "me".to_owned())]);
        assert!(hosts(&asked, None).is_err());
        assert_eq!(hosts(&asked[..1], None).expect("not asked for").len(), 1);
    }
}
