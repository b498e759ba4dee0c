// SPDX-License-Identifier: Apache-2.0
//! Names: of networks, of pods in them, and of interfaces.

use crate::error::{Error, Result};
use gorae_network::names::hardware_address;

/// Names that mean something else where a network is named.
const RESERVED: [&str; 5] = ["bridge", "host", "none", "default", "container"];
/// The longest name of a network.
const MAX_NAME: usize = 63;
/// The longest name, and the longest part of one, that can be asked for by DNS.
const MAX_HOST_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// What the alias of a bridge begins with; the network's id follows.
const ALIAS: &str = "gorae network ";
/// More than anybody gives to one pod in one network.
const MAX_HOST_NAMES: usize = 256;

/// Checks the name of a network.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_network(name: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid("network name", name, why));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > MAX_NAME {
        return refuse("does not have 1 to 63 characters");
    }
    if !name.bytes().all(plain) || !name.as_bytes()[0].is_ascii_alphanumeric() {
        return refuse("may have letters, digits, \"_\", \".\" and \"-\", and begins with a letter or digit");
    }
    if RESERVED.contains(&name) {
        return refuse("is reserved");
    }
    Ok(())
}

/// The names of a pod that can be asked for: it may have others, such as `a..b`, without which it still runs.
///
/// # Errors
/// [`Error::Invalid`] when there are too many.
pub fn own(names: &[String]) -> Result<Vec<String>> {
    check_hosts(&names.iter().filter(|name| check_host(name).is_ok()).cloned().collect::<Vec<_>>())
}

/// Checks aliases, and leaves those out that differ from an earlier one only in case.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_hosts(names: &[String]) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    if names.len() > MAX_HOST_NAMES {
        return Err(Error::invalid("names", names.len(), "are more than 256"));
    }
    for name in names {
        check_host(name)?;
        if !all.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            all.push(name.clone());
        }
    }
    Ok(all)
}

fn check_host(name: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::invalid("name", name, why));
    if name.is_empty() || name.len() > MAX_HOST_NAME {
        return refuse("does not have 1 to 253 bytes");
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("contains a control character or a blank");
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL) {
        return refuse("has a part that does not have 1 to 63 bytes");
    }
    Ok(())
}

/// The bridge of a network: `gn-` and the beginning of its id.
pub fn bridge(id: &str) -> String {
    format!("gn-{}", id.get(..11).unwrap_or(id))
}

/// What a bridge says of itself in the kernel, so that it can be told whose it is when the record is damaged.
pub fn alias(id: &str) -> String {
    format!("{ALIAS}{id}")
}

/// The id of the network that a bridge says it belongs to.
pub fn of_alias(alias: &str) -> Option<&str> {
    alias.strip_prefix(ALIAS)
}

/// Checks a bridge's name that was given.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_bridge(option: &'static str, name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    let letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !plain || !letter || name.len() > gorae_network::names::MAX_INTERFACE_NAME {
        let why =
            "is not an interface name of 1 to 15 letters, digits, \"-\", \"_\" or \".\" that begins with a letter";
        return Err(Error::invalid(option, name, why));
    }
    if matches!(name, "all" | "default" | "lo") {
        return Err(Error::invalid(option, name, "means something else to the kernel"));
    }
    Ok(())
}

/// The host end of a pod's interface in a network: `gu` and 52 bits of a hash.
pub fn host_interface(pod_id: &str, network_id: &str) -> String {
    gorae_network::names::host_interface(&format!("{pod_id} {network_id}")).replacen("gp", "gu", 1)
}

/// The hardware address of an interface of ours, which tells it from those of another daemon: `table` is the name of this
/// daemon's table.
pub fn hardware(table: &str, interface: &str) -> [u8; 6] {
    hardware_address(&format!("{table} {interface}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_networks_are_those_of_docker() {
        for good in ["a", "9", "A_b.c-d", &"x".repeat(63), "Bridge"] {
            assert!(check_network(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", "a b", "a/b", "ä", &"x".repeat(64), "bridge", "host", "none", "default"] {
            assert!(check_network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_pods_can_be_asked_for_and_count_once_whatever_their_case() {
        let all = |names: &[&str]| check_hosts(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(all(&["Web", "db.example", "WEB", "a_b"]).expect("good"), ["Web", "db.example", "a_b"]);
        for bad in ["", ".", "a..b", "a.", "a\tb", "a\0", "a b", &"x".repeat(64), &"x.".repeat(127)] {
            assert!(all(&[bad]).is_err(), "{bad:?}");
        }
        assert!(all(&["a"; 257]).is_err());
        let names = ["a..b", "web", &"x".repeat(64), "WEB", ""].map(str::to_owned);
        assert_eq!(own(&names).expect("the rest"), ["web"]);
        assert!(own(&vec!["a".to_owned(); 257]).is_err());
    }

    #[test]
    fn interfaces_have_names_that_the_kernel_takes_and_that_differ() {
        assert_eq!(bridge(&"ab".repeat(32)), "gn-abababababa");
        assert_eq!(of_alias(&alias("ab12")), Some("ab12"));
        assert_eq!((of_alias(""), of_alias("uplink")), (None, None));
        let name = host_interface("pod", "net");
        assert!(name.starts_with("gu") && name.len() == 15, "{name}");
        assert_ne!(name, host_interface("pod", "other"));
        assert_ne!(hardware("gorae-1-user", &name), hardware("gorae-2-user", &name));
        for bad in ["", "1a", "a/b", "all", "default", "lo", "sixteen-letters-", "a b"] {
            assert!(check_bridge("bridge", bad).is_err(), "{bad}");
        }
        assert!(check_bridge("bridge", "br-web.1").is_ok());
    }
}
