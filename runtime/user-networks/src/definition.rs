// SPDX-License-Identifier: Apache-2.0
//! What somebody wants a network to be, and the checks that need nothing but the request.

use crate::error::{Error, Result};
use crate::names;
use crate::options::{Options, check_mtu};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The most bytes of all labels and options together, so that a record stays small.
const MAX_LABELS: usize = 64 << 10;

/// What somebody wants a network to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Subnets: one of a family at most. That of a family without one is chosen.
    pub subnets: Vec<SubnetWish>,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6. It has, too, if an IPv6 subnet is given.
    pub ipv6: bool,
    /// No way out of it, and none in.
    pub internal: bool,
    /// Bytes; `None` for that of the node's default route. The option for it counts if both are given.
    pub mtu: Option<u32>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver "bridge".
    pub options: BTreeMap<String, String>,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            name: String::new(),
            subnets: Vec::new(),
            ipv4: true,
            ipv6: false,
            internal: false,
            mtu: None,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        }
    }
}

/// A subnet that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetWish {
    /// The subnet.
    pub subnet: IpNet,
    /// Where addresses are chosen from; all of the subnet when there is none.
    pub range: Option<IpNet>,
    /// The bridge's address; the first one when there is none.
    pub gateway: Option<IpAddr>,
}

impl SubnetWish {
    /// Whether it is IPv4.
    pub fn is_v4(&self) -> bool {
        matches!(self.subnet, IpNet::V4(_))
    }
}

impl Definition {
    /// Checks it, and parses its options.
    ///
    /// # Errors
    /// [`Error::Invalid`], with what is wrong.
    pub(crate) fn check(&self) -> Result<Options> {
        names::check_network(&self.name)?;
        let mut options = Options::parse(&self.options)?;
        if let Some(mtu) = self.mtu {
            check_mtu("mtu", mtu)?;
            options.mtu = options.mtu.or(Some(mtu));
        }
        if let Some(second) = self.subnets.iter().enumerate().find_map(|(n, wish)| {
            self.subnets[..n].iter().any(|earlier| earlier.is_v4() == wish.is_v4()).then_some(wish)
        }) {
            return Err(Error::invalid("subnet", second.subnet, "is a second one of its family"));
        }
        if let Some(wish) = self.subnets.iter().find(|wish| wish.is_v4() && !self.ipv4) {
            return Err(Error::invalid("subnet", wish.subnet, "is IPv4, which the network is not to have"));
        }
        if !self.ipv4 && !self.has_ipv6() {
            return Err(Error::invalid("network", &self.name, "has neither IPv4 nor IPv6"));
        }
        if options.mtu.is_some_and(|mtu| mtu < 1280) && self.has_ipv6() {
            return Err(Error::invalid(
                "mtu",
                options.mtu.unwrap_or_default(),
                "is less than the 1280 that IPv6 needs",
            ));
        }
        let size =
            |all: &BTreeMap<String, String>| all.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if size(&self.labels) + size(&self.options) > MAX_LABELS {
            return Err(Error::invalid("labels of", &self.name, "have more than 65536 bytes"));
        }
        Ok(options)
    }

    /// Whether the network has IPv6.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.ipv6 || self.subnets.iter().any(|wish| !wish.is_v4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(subnet: &str) -> SubnetWish {
        SubnetWish { subnet: subnet.parse().expect("net"), range: None, gateway: None }
    }

    fn named() -> Definition {
        Definition { name: "web".into(), ..Definition::default() }
    }

    #[test]
    fn a_network_has_at_least_one_family_and_one_subnet_of_each_at_most() {
        let good = Definition { subnets: vec![wish("10.0.0.0/24"), wish("fd00::/64")], ..named() };
        assert!(good.check().is_ok() && good.has_ipv6());
        assert!(Definition { ipv4: false, ipv6: true, ..named() }.check().is_ok());
        for (bad, why) in [
            (Definition { subnets: vec![wish("10.0.0.0/24"), wish("10.1.0.0/24")], ..named() }, "second one"),
            (Definition { subnets: vec![wish("10.0.0.0/24")], ipv4: false, ipv6: true, ..named() }, "not to have"),
            (Definition { ipv4: false, ..named() }, "neither"),
            (Definition { ipv6: true, mtu: Some(1000), ..named() }, "1280"),
            (Definition { mtu: Some(1), ..named() }, "68..65535"),
            (Definition { name: "host".into(), ..named() }, "reserved"),
            (Definition { labels: BTreeMap::from([("a".into(), "x".repeat(65536))]), ..named() }, "65536"),
        ] {
            let error = bad.check().expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
