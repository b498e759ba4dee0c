// SPDX-License-Identifier: Apache-2.0
//! What a pod asks of one network, between the wire and the networks.

use crate::error::{Error, Result};
use gorae_proto::gorae::NetworkWish;
use gorae_user_networks::Wish;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Reads what a request asks of one network.
///
/// # Errors
/// `InvalidArgument` with the field.
pub fn wish(asked: &NetworkWish) -> Result<Wish> {
    if asked.network.is_empty() {
        return Err(Error::invalid("network.networks: one has no name"));
    }
    let mac = <[u8; 6]>::try_from(asked.mac.as_slice());
    if mac.is_err() && !asked.mac.is_empty() {
        return Err(Error::invalid(format!("network {}: a hardware address has six bytes", asked.network)));
    }
    Ok(Wish {
        network: asked.network.clone(),
        aliases: asked.aliases.clone(),
        ipv4: address::<Ipv4Addr>(&asked.network, "IPv4", &asked.ipv4)?,
        ipv6: address::<Ipv6Addr>(&asked.network, "IPv6", &asked.ipv6)?,
        gateway_priority: asked.gateway_priority,
        mac: mac.ok(),
    })
}

fn address<A: FromStr>(network: &str, family: &str, text: &str) -> Result<Option<A>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| Error::invalid(format!("network {network}: {text:?} is not an {family} address"));
    text.parse().map(Some).map_err(wrong)
}

/// The same on the wire.
pub fn of_wish(wish: &Wish) -> NetworkWish {
    NetworkWish {
        network: wish.network.clone(),
        aliases: wish.aliases.clone(),
        ipv4: wish.ipv4.map(|ip| ip.to_string()).unwrap_or_default(),
        ipv6: wish.ipv6.map(|ip| ip.to_string()).unwrap_or_default(),
        gateway_priority: wish.gateway_priority,
        mac: wish.mac.map(|mac| mac.to_vec()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_whole_and_written_back() {
        let asked = NetworkWish {
            network: "lan".into(),
            aliases: vec!["db".into()],
            ipv4: "10.1.0.7".into(),
            ipv6: "fd00::7".into(),
            gateway_priority: -1,
            mac: vec![2, 0, 0, 0, 0, 7],
        };
        assert_eq!(of_wish(&wish(&asked).expect("valid")), asked);
        let plain = NetworkWish { network: "lan".into(), ..Default::default() };
        assert_eq!(of_wish(&wish(&plain).expect("valid")), plain);
    }

    #[test]
    fn a_field_that_is_none_is_named() {
        let lan = || NetworkWish { network: "lan".into(), ..Default::default() };
        for (asked, expected) in [
            (NetworkWish::default(), "no name"),
            (NetworkWish { ipv4: "10.1.0.256".into(), ..lan() }, "\"10.1.0.256\" is not an IPv4 address"),
            (NetworkWish { ipv6: "10.1.0.1".into(), ..lan() }, "not an IPv6 address"),
            (NetworkWish { mac: vec![2; 5], ..lan() }, "six bytes"),
        ] {
            let error = wish(&asked).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
