// SPDX-License-Identifier: Apache-2.0
//! DNS settings of people: each list that they leave empty is the node's.

use super::resolv_conf;
use crate::error::Result;
use gorae_proto::cri::DnsConfig;

/// The file for these settings beside those of the node, `host`, as far as they work inside a pod.
///
/// # Errors
/// As for settings that stand alone.
pub fn added(dns: &DnsConfig, host: &[u8]) -> Result<Vec<u8>> {
    let mut text = resolv_conf::of_settings(dns)?;
    let replaced = |line: &[u8]| {
        let keyword = line.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
        match keyword {
            b"nameserver" => !dns.servers.is_empty(),
            b"search" | b"domain" => !dns.searches.is_empty(),
            b"options" => !dns.options.is_empty(),
            _ => true,
        }
    };
    for line in host.split(|&b| b == b'\n').filter(|line| !replaced(line)) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_given_replaces_the_nodes_and_the_others_stay() {
        let host = b"# made by hand\nnameserver 192.0.2.1\nsearch lan\noptions edns0\nsortlist x";
        let dns = |servers: &[&str], searches: &[&str]| DnsConfig {
            servers: servers.iter().map(ToString::to_string).collect(),
            searches: searches.iter().map(ToString::to_string).collect(),
            options: Vec::new(),
        };
        let text = |dns| String::from_utf8(added(&dns, host).expect("valid")).expect("text");
        assert_eq!(text(dns(&["9.9.9.9"], &[])), "nameserver 9.9.9.9\nsearch lan\noptions edns0\n");
        assert_eq!(text(dns(&[], &["a.b"])), "search a.b\nnameserver 192.0.2.1\noptions edns0\n");
        assert!(added(&dns(&["1\n2"], &[]), host).is_err());
    }
}
