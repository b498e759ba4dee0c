// SPDX-License-Identifier: Apache-2.0
//! The subnets of `network create`: `--subnet`, and the `--gateway` and `--ip-range` that lie in each.

use anyhow::{Context, Result, bail, ensure};
use gorae_proto::gorae::SubnetSettings;
use ipnet::IpNet;
use std::net::IpAddr;

/// One subnet with what belongs to it.
struct Subnet {
    subnet: IpNet,
    range: Option<IpNet>,
    gateway: Option<IpAddr>,
}

/// Puts subnets, ranges and gateways together, each with the subnet that contains it.
///
/// # Errors
/// When one of them has another form, lies in no subnet, or has a second of its kind there; and when there are two subnets of
/// one family.
pub fn subnets(subnets: &[String], ranges: &[String], gateways: &[String]) -> Result<Vec<SubnetSettings>> {
    let mut all: Vec<Subnet> = Vec::new();
    for text in subnets {
        let subnet = network("subnet", text)?;
        let same = |other: &Subnet| is_ipv4(&other.subnet) == is_ipv4(&subnet);
        if let Some(other) = all.iter().find(|other| same(other)) {
            bail!("subnets {} and {subnet}: a network has one subnet of each family at most", other.subnet);
        }
        all.push(Subnet { subnet, range: None, gateway: None });
    }
    for text in ranges {
        let range = network("range", text)?;
        let place = all.iter_mut().find(|s| s.subnet.contains(&range));
        let place = place.with_context(|| format!("range {range} is in no --subnet"))?;
        if let Some(other) = place.range.replace(range) {
            bail!("ranges {other} and {range}: subnet {} can have one", place.subnet);
        }
    }
    for text in gateways {
        let gateway: IpAddr =
            text.parse().ok().with_context(|| format!("bad gateway {text:?}: the form is 10.1.0.1"))?;
        let place = all.iter_mut().find(|s| s.subnet.contains(&gateway));
        let place = place.with_context(|| format!("gateway {gateway} is in no --subnet"))?;
        if let Some(other) = place.gateway.replace(gateway) {
            bail!("gateways {other} and {gateway}: subnet {} can have one", place.subnet);
        }
    }
    Ok(all.into_iter().map(settings).collect())
}

/// Whether it is IPv4.
fn is_ipv4(subnet: &IpNet) -> bool {
    subnet.addr().is_ipv4()
}

fn settings(subnet: Subnet) -> SubnetSettings {
    SubnetSettings {
        subnet: subnet.subnet.to_string(),
        range: subnet.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: subnet.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
    }
}

/// Reads a subnet, whose address must be its first one: another one is more likely a typo than a wish.
fn network(what: &str, text: &str) -> Result<IpNet> {
    let subnet: IpNet = text.parse().ok().with_context(|| format!("bad {what} {text:?}: the form is 10.1.0.0/24"))?;
    ensure!(
        subnet == subnet.trunc(),
        "bad {what} {text:?}: the {what} that contains this address is {}",
        subnet.trunc()
    );
    Ok(subnet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(subnets: &[&str], ranges: &[&str], gateways: &[&str]) -> Result<Vec<SubnetSettings>> {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        super::subnets(&own(subnets), &own(ranges), &own(gateways))
    }

    #[test]
    fn ranges_and_gateways_find_their_subnet() {
        let gateways = ["fd00::1", "10.1.0.254"];
        let found = read(&["10.1.0.0/16", "fd00::/64"], &["10.1.4.0/24"], &gateways).expect("valid");
        let row = |s: &SubnetSettings| format!("{} {} {}", s.subnet, s.range, s.gateway);
        let shown: Vec<_> = found.iter().map(row).collect();
        assert_eq!(shown, ["10.1.0.0/16 10.1.4.0/24 10.1.0.254", "fd00::/64  fd00::1"]);
        assert!(read(&[], &[], &[]).expect("nothing given").is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (subnets, ranges, gateways, said) in [
            (&["10.1.0.0"][..], &[][..], &[][..], "bad subnet \"10.1.0.0\": the form is 10.1.0.0/24"),
            (&["10.1.0.5/24"], &[], &[], "the subnet that contains this address is 10.1.0.0/24"),
            (&["10.1.0.0/24", "10.2.0.0/24"], &[], &[], "one subnet of each family"),
            (&["10.1.0.0/24"], &["10.2.0.0/25"], &[], "range 10.2.0.0/25 is in no --subnet"),
            (&["10.1.0.0/24"], &["10.1.0.0/16"], &[], "range 10.1.0.0/16 is in no --subnet"),
            (&["10.1.0.0/24"], &[], &["10.2.0.1"], "gateway 10.2.0.1 is in no --subnet"),
            (&["10.1.0.0/24"], &[], &["10.1.0.1", "10.1.0.2"], "subnet 10.1.0.0/24 can have one"),
            (&["10.1.0.0/24"], &["10.1.0.0/25", "10.1.0.128/25"], &[], "subnet 10.1.0.0/24 can have one"),
            (&[], &[], &["10.1.0.1"], "is in no --subnet"),
            (&["10.1.0.0/24"], &[], &["gateway"], "bad gateway \"gateway\""),
        ] {
            let error = read(subnets, ranges, gateways).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
