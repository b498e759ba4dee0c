// SPDX-License-Identifier: Apache-2.0
//! `--network default|host`.

use anyhow::{Result, bail};

/// Which network a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// A network namespace of its own, connected as the daemon's configuration says.
    #[default]
    Own,
    /// The network of the machine.
    Host,
}

/// Reads `default` (or `bridge`, Docker's word for it) or `host`.
///
/// # Errors
/// For any other network: gorae has no more.
pub fn network(text: &str) -> Result<Network> {
    match text {
        "default" | "bridge" => Ok(Network::Own),
        "host" => Ok(Network::Host),
        _ => bail!("bad network {text:?}: gorae has only \"default\" and \"host\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_networks_exist() {
        assert_eq!(network("default").expect("own"), Network::Own);
        assert_eq!(network("bridge").expect("own"), Network::Own);
        assert_eq!(network("host").expect("host"), Network::Host);
        for text in ["", "none", "Host", "container:x", "mynet"] {
            assert!(network(text).is_err(), "{text:?} was taken");
        }
    }
}
