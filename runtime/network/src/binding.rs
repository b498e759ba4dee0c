// SPDX-License-Identifier: Apache-2.0
//! One host port in one address family: the unit that is reserved, that becomes a rule, and that errors name.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The transport protocol of a host port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// One host port in one address family, and the pod's port it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address of the node; the unspecified address stands for every address of the family.
    pub at: IpAddr,
    /// Port of the node.
    pub port: u16,
    /// Address and port of the pod, of the same family as `at`.
    pub to: SocketAddr,
}

impl Binding {
    /// The node's side, for error messages: `0.0.0.0:80/tcp`.
    pub fn place(&self) -> String {
        format!("{}/{}", SocketAddr::new(self.at, self.port), self.protocol)
    }

    /// Whether the two cannot coexist.
    pub fn collides(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && self.at.is_ipv4() == other.at.is_ipv4()
            && (self.at == other.at || self.at.is_unspecified() || other.at.is_unspecified())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_collides_with_each_address_of_its_family_only() {
        let to: SocketAddr = "10.64.0.2:80".parse().expect("address");
        let at = |at: &str| Binding { protocol: Protocol::Tcp, at: at.parse().expect("address"), port: 80, to };
        assert!(at("0.0.0.0").collides(&at("127.0.0.1")));
        assert!(at("127.0.0.1").collides(&at("127.0.0.1")));
        assert!(!at("127.0.0.1").collides(&at("127.0.0.2")));
        assert!(!at("0.0.0.0").collides(&at("::")));
        assert!(!at("0.0.0.0").collides(&Binding { protocol: Protocol::Udp, ..at("0.0.0.0") }));
        assert!(!at("0.0.0.0").collides(&Binding { port: 81, ..at("0.0.0.0") }));
    }
}
