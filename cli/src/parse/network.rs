// SPDX-License-Identifier: Apache-2.0
//! `--network`.

use anyhow::{Result, bail};

/// Where a container's network comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// A network namespace of its own, connected as the daemon is configured.
    #[default]
    Own,
    /// The machine's.
    Host,
}

/// Reads `default` (or Docker's word for it, `bridge`) or `host`.
pub fn network(text: &str) -> Result<Network> {
    match text {
        "default" | "bridge" => Ok(Network::Own),
        "host" => Ok(Network::Host),
        _ => bail!("bad network {text:?}: gorae knows \"default\" and \"host\""),
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
