// SPDX-License-Identifier: Apache-2.0
//! The options of a network: those of Docker's driver "bridge" that have a meaning here.

use crate::error::{Error, Result};
use crate::names;
use std::collections::BTreeMap;

const MTU: &str = "com.docker.network.driver.mtu";
const BRIDGE: &str = "com.docker.network.bridge.name";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const ICC: &str = "com.docker.network.bridge.enable_icc";

/// The options of a network, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Name of the bridge.
    pub bridge: Option<String>,
    /// Whether what leaves the network has the node's address.
    pub masquerade: bool,
    /// Whether pods reach each other.
    pub icc: bool,
}

impl Options {
    /// Parses them.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the option that is not known, or whose value is not valid.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self { mtu: None, bridge: None, masquerade: true, icc: true };
        for (option, value) in options {
            match option.as_str() {
                MTU => {
                    let mtu = value.parse().map_err(|_| Error::invalid(MTU, value, "is not a number"))?;
                    check_mtu(MTU, mtu)?;
                    parsed.mtu = Some(mtu);
                }
                BRIDGE => {
                    names::check_bridge(BRIDGE, value)?;
                    parsed.bridge = Some(value.clone());
                }
                MASQUERADE => parsed.masquerade = switch(MASQUERADE, value)?,
                ICC => parsed.icc = switch(ICC, value)?,
                _ => return Err(Error::invalid("option", option, "is not known")),
            }
        }
        Ok(parsed)
    }
}

/// Checks an MTU: IPv6 needs 1280, but IPv4 alone can do with less.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_mtu(what: &'static str, mtu: u32) -> Result<()> {
    if (68..=65_535).contains(&mtu) { Ok(()) } else { Err(Error::invalid(what, mtu, "is not in 68..65535")) }
}

fn switch(option: &'static str, value: &str) -> Result<bool> {
    match value {
        "true" | "1" | "TRUE" | "True" | "t" | "T" => Ok(true),
        "false" | "0" | "FALSE" | "False" | "f" | "F" => Ok(false),
        _ => Err(Error::invalid(option, value, "is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(option: &str, value: &str) -> Result<Options> {
        Options::parse(&BTreeMap::from([(option.to_owned(), value.to_owned())]))
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_name() {
        let rows = [
            ("com.docker.network.bridge.gateway_mode_ipv4", "nat"),
            ("parent", "eth0"),
            (MTU, "big"),
            (MTU, "67"),
            (MTU, "-1"),
            (BRIDGE, "a/b"),
            (MASQUERADE, "maybe"),
            (ICC, ""),
        ];
        for (option, value) in rows {
            let error = parse(option, value).expect_err(option).to_string();
            assert!(error.contains(option), "{error}");
        }
    }

    #[test]
    fn every_option_has_its_effect() {
        let none = Options::parse(&BTreeMap::new()).expect("none");
        assert_eq!(none, Options { mtu: None, bridge: None, masquerade: true, icc: true });
        assert_eq!(parse(MTU, "1400").expect("good").mtu, Some(1400));
        assert_eq!(parse(BRIDGE, "br-web").expect("good").bridge.as_deref(), Some("br-web"));
        assert!(!parse(MASQUERADE, "false").expect("good").masquerade);
        assert!(!parse(ICC, "0").expect("good").icc);
    }
}
