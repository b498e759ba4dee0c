// SPDX-License-Identifier: Apache-2.0
//! The subprotocols: their names, how channels are encoded, how stdin ends and how the result is reported.

/// How the bytes of a channel are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Binary messages: one channel byte, then the bytes.
    Binary,
    /// Text messages: one channel digit, then standard base64.
    Base64,
}

impl Codec {
    /// The most ports that one forwarding connection can have: both channels of each must fit the channel byte, or be
    /// ASCII before base64.
    pub const fn most_ports(self) -> usize {
        match self {
            Self::Binary => 127,
            Self::Base64 => 40,
        }
    }
}

/// The meaning of a protocol version for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Result as text, on failure only.
    V1,
    /// Like v1, with stdin that ends properly over SPDY.
    V2,
    /// Like v2, with a resize stream.
    V3,
    /// Like v3, with the result as a JSON Status, always.
    V4,
    /// Like v4, with a half-close message. WebSocket only.
    V5,
}

/// A subprotocol of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// The value of `Sec-WebSocket-Protocol`; empty for a client that asked for none.
    pub name: &'static str,
    /// How channels are encoded.
    pub codec: Codec,
    /// The protocol version.
    pub version: Version,
    /// Whether the messages carry a SPDY connection.
    pub tunnel: bool,
}

const fn protocol(name: &'static str, codec: Codec, version: Version) -> Protocol {
    Protocol { name, codec, version, tunnel: false }
}

/// Subprotocols of exec and attach.
pub const STDIO: &[Protocol] = &[
    protocol("v5.channel.k8s.io", Codec::Binary, Version::V5),
    protocol("v4.channel.k8s.io", Codec::Binary, Version::V4),
    protocol("v4.base64.channel.k8s.io", Codec::Base64, Version::V4),
    protocol("channel.k8s.io", Codec::Binary, Version::V1),
    protocol("base64.channel.k8s.io", Codec::Base64, Version::V1),
    protocol("", Codec::Binary, Version::V1),
];

/// Subprotocols of port forwarding.
pub const FORWARD: &[Protocol] = &[
    Protocol { tunnel: true, ..protocol("SPDY/3.1+portforward.k8s.io", Codec::Binary, Version::V4) },
    protocol("v4.channel.k8s.io", Codec::Binary, Version::V4),
    protocol("v4.base64.channel.k8s.io", Codec::Base64, Version::V4),
    protocol("", Codec::Binary, Version::V4),
];

/// Picks the first offered subprotocol that is supported. A client that offers none at all gets the nameless one.
pub fn choose<'o>(supported: &'static [Protocol], offered: impl IntoIterator<Item = &'o str>) -> Option<Protocol> {
    let mut offered = offered.into_iter().peekable();
    let find = |name: &str| supported.iter().find(|protocol| protocol.name == name).copied();
    if offered.peek().is_none() {
        return find("");
    }
    offered.find_map(find)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_client_decides() {
        let name = |offered: &[&str]| choose(STDIO, offered.iter().copied()).map(|protocol| protocol.name);
        assert_eq!(name(&["v4.channel.k8s.io", "v5.channel.k8s.io"]), Some("v4.channel.k8s.io"));
        assert_eq!(name(&["v9", "v5.channel.k8s.io"]), Some("v5.channel.k8s.io"));
        assert_eq!(name(&[]), Some(""));
        assert_eq!(name(&["v9"]), None);
        assert!(choose(FORWARD, ["v5.channel.k8s.io"]).is_none());
        assert!(choose(FORWARD, ["SPDY/3.1+portforward.k8s.io"]).is_some_and(|protocol| protocol.tunnel));
    }
}
