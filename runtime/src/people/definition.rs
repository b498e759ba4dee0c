// SPDX-License-Identifier: Apache-2.0
//! The definition of a network, between the wire and the networks.

use gorae_node::error::{Error, Result};
use gorae_proto::gorae::{NetworkSettings, SubnetSettings};
use gorae_user_networks::{Definition, SubnetWish};

/// Longest lists and texts of a definition that are read.
const MAX_ENTRIES: usize = 64;
const MAX_TEXT: usize = 4096;

/// Reads what a request says of a new network.
///
/// # Errors
/// `InvalidArgument` with the field.
pub fn read(name: String, settings: NetworkSettings) -> Result<Definition> {
    if !matches!(settings.driver.as_str(), "" | "bridge") {
        return Err(Error::invalid(format!("driver {:?}: gorae has only \"bridge\"", settings.driver)));
    }
    for (field, list) in [("labels", &settings.labels), ("options", &settings.options)] {
        let too_long = list.iter().any(|(key, value)| key.is_empty() || key.len() + value.len() > MAX_TEXT);
        if list.len() > MAX_ENTRIES || too_long {
            return Err(Error::invalid(format!(
                "{field}: more than {MAX_ENTRIES}, or one without a name or longer than {MAX_TEXT} bytes"
            )));
        }
    }
    Ok(Definition {
        name,
        subnets: settings.subnets.iter().map(subnet).collect::<Result<_>>()?,
        ipv4: !settings.no_ipv4,
        ipv6: settings.ipv6,
        internal: settings.internal,
        mtu: (settings.mtu != 0).then_some(settings.mtu),
        labels: settings.labels.into_iter().collect(),
        options: settings.options.into_iter().collect(),
    })
}

fn subnet(settings: &SubnetSettings) -> Result<SubnetWish> {
    let wrong = |what: &str, text: &str| Error::invalid(format!("{what} {text:?} is not an address"));
    let net = |what: &str, text: &str| text.parse().map_err(|_| wrong(what, text));
    Ok(SubnetWish {
        subnet: net("subnet", &settings.subnet)?,
        range: optional(&settings.range, |text| net("range", text))?,
        gateway: optional(&settings.gateway, |text| text.parse().map_err(|_| wrong("gateway", text)))?,
    })
}

fn optional<T>(text: &str, read: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_whole() {
        let subnet = SubnetSettings { subnet: "10.1.0.0/24".into(), gateway: "10.1.0.9".into(), ..Default::default() };
        let settings = NetworkSettings { subnets: vec![subnet], ipv6: true, mtu: 1400, ..Default::default() };
        let read = read("lan".into(), settings).expect("valid");
        assert!(read.ipv4 && read.ipv6 && !read.internal);
        assert_eq!((read.name.as_str(), read.mtu, read.subnets.len()), ("lan", Some(1400), 1));
        assert_eq!(read.subnets[0].gateway, Some("10.1.0.9".parse().expect("address")));
        assert_eq!(read.subnets[0].range, None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let of = |subnet: &str, range: &str, gateway: &str| NetworkSettings {
            subnets: vec![SubnetSettings { subnet: subnet.into(), range: range.into(), gateway: gateway.into() }],
            ..Default::default()
        };
        let labels = (0..=MAX_ENTRIES).map(|n| (n.to_string(), String::new())).collect();
        for (settings, expected) in [
            (NetworkSettings { driver: "overlay".into(), ..Default::default() }, "overlay"),
            (NetworkSettings { labels, ..Default::default() }, "labels"),
            (of("10.1.0.0", "", ""), "subnet \"10.1.0.0\""),
            (of("10.1.0.0/24", "x", ""), "range \"x\""),
            (of("10.1.0.0/24", "", "10.1.0.1/24"), "gateway \"10.1.0.1/24\""),
        ] {
            let error = read("lan".into(), settings).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
