// SPDX-License-Identifier: Apache-2.0
//! One host port in one address family: the unit that is reserved and that errors name, and that becomes a rule once it
//! is known which pod it leads to.

use ipnet::IpNet;
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

/// One host port in one address family: what is reserved, and what cannot belong to two pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address of the node; the unspecified address stands for every address of the family.
    pub at: IpAddr,
    /// Port of the node.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", SocketAddr::new(self.at, self.port), self.protocol)
    }
}

impl Place {
    /// Whether the two cannot coexist.
    pub fn collides(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && self.at.is_ipv4() == other.at.is_ipv4()
            && (self.at == other.at || self.at.is_unspecified() || other.at.is_unspecified())
    }

    /// Whether the node's loopback addresses are among those that it stands for.
    pub fn takes_loopback(&self) -> bool {
        self.at.is_unspecified() || self.at.is_loopback()
    }
}

/// A host port in one address family, and the pod's port it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The node's side.
    pub place: Place,
    /// Address and port of the pod, of the same family.
    pub to: SocketAddr,
    /// Whom the pod answers without the node in between, at least itself. Such clients are masqueraded: the answer has to
    /// pass the translation.
    pub beside: IpNet,
}

impl Binding {
    /// A host port of a pod that answers all but itself through the node.
    pub fn new(place: Place, to: SocketAddr) -> Self {
        Self { place, to, beside: to.ip().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_collides_with_each_address_of_its_family_only() {
        let at = |at: &str| Place { protocol: Protocol::Tcp, at: at.parse().expect("address"), port: 80 };
        assert!(at("0.0.0.0").collides(&at("127.0.0.1")));
        assert!(at("127.0.0.1").collides(&at("127.0.0.1")));
        assert!(!at("127.0.0.1").collides(&at("127.0.0.2")));
        assert!(!at("0.0.0.0").collides(&at("::")));
        assert!(!at("0.0.0.0").collides(&Place { protocol: Protocol::Udp, ..at("0.0.0.0") }));
        assert!(!at("0.0.0.0").collides(&Place { port: 81, ..at("0.0.0.0") }));
        assert_eq!(at("::").to_string(), "[::]:80/tcp");
    }
}
