// SPDX-License-Identifier: Apache-2.0
//! What the host's `/etc/resolv.conf` says, as the C library reads it.

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The host's file.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The most servers that are asked; the C library takes no more either.
const MAX_SERVERS: usize = 3;
const PORT: u16 = 53;

/// The host's resolver settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostResolver {
    /// At most three, in the order in which they are asked. Those on the loopback count: they are asked from the host's
    /// network namespace.
    pub(crate) servers: Vec<SocketAddr>,
    /// The search list.
    pub(crate) searches: Vec<String>,
    /// The options, of all lines.
    pub(crate) options: Vec<String>,
}

impl HostResolver {
    /// Reads the file's text. Lines that mean nothing to the C library are passed over.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut host = Self::default();
        for line in text.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok()) {
            // A keyword is at the very beginning of its line.
            let Some((keyword, rest)) = line.split_once([' ', '\t']) else { continue };
            let mut words = rest.split_whitespace();
            match keyword {
                "nameserver" if host.servers.len() < MAX_SERVERS => host.servers.extend(words.next().and_then(server)),
                // The last list wins, whichever way it is written.
                "search" => host.searches = words.map(str::to_owned).collect(),
                "domain" => host.searches = words.next().map(str::to_owned).into_iter().collect(),
                "options" => host.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        host
    }

    /// Whether names can be completed by another one, so that a name without a dot can mean something outside.
    pub(super) fn completes_names(&self) -> bool {
        self.searches.iter().any(|domain| domain != ".")
    }
}

/// The servers of a pod that has some of its own (`--dns`), from a list of addresses. An address that is not one is left
/// out, and so is what comes after the third.
pub fn servers(addresses: &[String]) -> Vec<SocketAddr> {
    addresses.iter().filter_map(|address| server(address)).take(MAX_SERVERS).collect()
}

fn server(address: &str) -> Option<SocketAddr> {
    let Some((address, scope)) = address.split_once('%') else {
        return address.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some(SocketAddrV6::new(address, PORT, 0, scope.parse().ok().or_else(|| index_of(scope))?).into())
}

/// The number of an interface.
fn index_of(interface: &str) -> Option<u32> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    netdevice::name_to_index(socket, interface).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<String>, String, String) {
        let host = HostResolver::parse(text.as_bytes());
        (host.servers.iter().map(ToString::to_string).collect(), host.searches.join(" "), host.options.join(" "))
    }

    #[test]
    fn the_file_is_read_as_the_c_library_reads_it() {
        let text = "# nameserver 1.1.1.1\n;search x\n nameserver 2.2.2.2\nnameserver 127.0.0.53 # ours\nnameserver\t::1\n\
                    nameserver bad\nnameservers 3.3.3.3\nsearch a b\noptions edns0\ndomain  lan.example more\n\
                    options trust-ad ndots:2\r\nnameserver fe80::1%lo\nnameserver 4.4.4.4\nnameserver";
        let servers = ["127.0.0.53:53", "[::1]:53", "[fe80::1%1]:53"].map(str::to_owned).to_vec();
        assert_eq!(parse(text), (servers, "lan.example".into(), "edns0 trust-ad ndots:2".into()));
        assert_eq!(parse("domain x\nsearch a b\n").1, "a b");
        assert_eq!(parse(""), (vec![], String::new(), String::new()));
    }

    #[test]
    fn only_a_list_with_a_domain_completes_names() {
        let rows = [("search lan", true), ("search .", false), ("search", false), ("", false), ("domain x", true)];
        for (text, expected) in rows {
            assert_eq!(HostResolver::parse(text.as_bytes()).completes_names(), expected, "{text}");
        }
    }

    #[test]
    fn the_servers_of_a_pod_are_three_addresses_at_most() {
        let list = ["10.0.0.1", "name", "fe80::1%7", "fe80::1%none-such", "127.0.0.1", "10.0.0.2"].map(str::to_owned);
        let read: Vec<_> = servers(&list).iter().map(ToString::to_string).collect();
        assert_eq!(read, ["10.0.0.1:53", "[fe80::1%7]:53", "127.0.0.1:53"]);
    }
}
