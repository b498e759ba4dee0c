// SPDX-License-Identifier: Apache-2.0
//! A pod's `/etc/resolv.conf`: from its own settings, as much of the host's as works inside the pod, or what leads to the
//! name server of user networks.

use crate::error::{Error, Result};
use crate::names::{self, HostResolver};
use gorae_proto::cri;
use std::net::{IpAddr, Ipv4Addr};

/// The addresses of systemd-resolved: the resolver, and the proxy that forwards queries unchanged.
const RESOLVED: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
/// Largest number of entries in one DNS list.
const MAX_DNS_ENTRIES: usize = 64;
/// Where a pod in a user network asks: the name server that the daemon keeps.
const NAME_SERVER: &str = "127.0.0.11";
/// With this option, a name without a dot is asked for as it is before anything is appended. It is that of a container, most
/// of the time.
const NDOTS: &str = "ndots:0";

/// The host's resolver settings, without those that cannot work inside a pod, where the loopback is the pod's own.
///
/// Name servers on the loopback are left out. If systemd-resolved is the only one, its upstream servers take its place. No
/// name server is made up: when none is left, the pod has none, and a warning is logged.
pub fn reachable(host: &[u8], upstreams: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let asked: Vec<IpAddr> = host.split(|&b| b == b'\n').filter_map(name_server).collect();
    let resolved_alone = !asked.is_empty() && asked.iter().all(|server| RESOLVED.contains(server));
    let upstreams = resolved_alone.then(upstreams).filter(|text| !text.is_empty());
    let source = upstreams.as_deref().unwrap_or(host);
    let is_inside = |line: &&[u8]| !name_server(line).is_some_and(is_of_the_host_alone);
    let kept: Vec<&[u8]> = source.split_inclusive(|&b| b == b'\n').filter(is_inside).collect();
    if !asked.is_empty() && !kept.iter().any(|line| line.starts_with(b"nameserver")) {
        tracing::warn!(
            "the pod gets no name server: it has no DNS settings, and those in /etc/resolv.conf are on the loopback"
        );
    }
    kept.concat()
}

/// The address of a `nameserver` line as the C library reads it: first the keyword, then one word.
fn name_server(line: &[u8]) -> Option<IpAddr> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("nameserver").filter(|rest| rest.starts_with([' ', '\t']))?;
    let address = rest.split_whitespace().next()?;
    address.parse().ok().or_else(|| short_loopback(address))
}

/// Short forms such as `127.1`, which the C library accepts, too.
fn short_loopback(address: &str) -> Option<IpAddr> {
    let numbers: Vec<u32> = address.split('.').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    (numbers.len() < 4 && numbers.first() == Some(&127)).then_some(Ipv4Addr::LOCALHOST.into())
}

/// Whether an address means the local machine, which is a different one in each pod. The C library also treats the
/// unspecified address as the local machine.
fn is_of_the_host_alone(server: IpAddr) -> bool {
    let server = server.to_canonical();
    server.is_loopback() || server.is_unspecified()
}

/// The file of a pod in a user network. The name server asks the pod's own servers or those of the host, so the file has
/// neither.
///
/// - Shapes: a list of the pod's own settings takes the place of that of the host; the search list `.` is none.
///
/// # Errors
/// As [`of_settings`], and `InvalidArgument` for a server that is not an address, which nobody could ask.
pub fn asking_names(dns: Option<&cri::DnsConfig>, host: &[u8]) -> Result<Vec<u8>> {
    let own = dns.cloned().unwrap_or_default();
    check(&own)?;
    if let Some(bad) = own.servers.iter().find(|server| names::servers(std::slice::from_ref(server)).is_empty()) {
        return Err(Error::invalid(format!("dns_config.servers: {bad:?} is not an IP address that can be reached")));
    }
    let host = HostResolver::parse(host);
    let list = |own: Vec<String>, host: Vec<String>| match own.is_empty() {
        true => host.into_iter().filter(|entry| is_entry(entry)).take(MAX_DNS_ENTRIES).collect(),
        false => own,
    };
    let (mut searches, mut options) = (list(own.searches, host.searches), list(own.options, host.options));
    searches.retain(|domain| domain != ".");
    if !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push(NDOTS.to_owned());
    }
    Ok(text(&[NAME_SERVER.to_owned()], &searches, &options))
}

/// The file for a pod's own settings.
///
/// # Errors
/// `InvalidArgument` for an entry that would break the file's lines, and for too many entries of one kind.
pub fn of_settings(dns: &cri::DnsConfig) -> Result<Vec<u8>> {
    check(dns)?;
    Ok(text(&dns.servers, &dns.searches, &dns.options))
}

fn check(dns: &cri::DnsConfig) -> Result<()> {
    let lists = [("servers", &dns.servers), ("searches", &dns.searches), ("options", &dns.options)];
    for (field, list) in lists {
        if list.len() > MAX_DNS_ENTRIES {
            return Err(Error::invalid(format!("dns_config.{field}: more than {MAX_DNS_ENTRIES} entries")));
        }
        if let Some(bad) = list.iter().find(|entry| !is_entry(entry)) {
            return Err(Error::invalid(format!("dns_config.{field}: {bad:?} is not a valid entry")));
        }
    }
    Ok(())
}

fn is_entry(entry: &str) -> bool {
    !entry.is_empty() && entry.len() <= 255 && !entry.contains(char::is_control)
}

fn text(servers: &[String], searches: &[String], options: &[String]) -> Vec<u8> {
    let mut text = String::new();
    if !searches.is_empty() {
        text += &format!("search {}\n", searches.join(" "));
    }
    for server in servers {
        text += &format!("nameserver {server}\n");
    }
    if !options.is_empty() {
        text += &format!("options {}\n", options.join(" "));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(servers: &[&str], searches: &[&str], options: &[&str]) -> cri::DnsConfig {
        let own = |l: &[&str]| l.iter().map(|s| s.to_string()).collect();
        cri::DnsConfig { servers: own(servers), searches: own(searches), options: own(options) }
    }

    #[test]
    fn resolv_conf_has_a_line_per_kind() {
        let text = of_settings(&dns(&["10.0.0.1", "fd00::1"], &["a.b", "c"], &["ndots:5"])).expect("valid");
        assert_eq!(text, b"search a.b c\nnameserver 10.0.0.1\nnameserver fd00::1\noptions ndots:5\n");
    }

    #[test]
    fn present_but_empty_settings_make_an_empty_file() {
        assert_eq!(of_settings(&dns(&[], &[], &[])).expect("valid"), b"");
    }

    fn copied(host: &str, upstreams: &str) -> String {
        String::from_utf8(reachable(host.as_bytes(), || upstreams.as_bytes().to_vec())).expect("UTF-8")
    }

    #[test]
    fn name_servers_on_the_hosts_loopback_are_not_copied_and_the_rest_is() {
        let host = "# ours\nnameserver 127.0.0.1\nnameserver\t10.0.0.53\nsearch a.b\noptions edns0\nnameserver ::1\n";
        assert_eq!(copied(host, "unused"), "# ours\nnameserver\t10.0.0.53\nsearch a.b\noptions edns0\n");
        for alone in ["127.0.0.1", "127.3.2.1", "127.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert_eq!(
                copied(&format!("nameserver {alone} # x\nsearch a"), "nameserver 9.9.9.9\n"),
                "search a",
                "{alone}"
            );
        }
        for kept in
            ["nameserver 10.0.0.1\n", "nameserver fd00::53\n", "nameserver fe80::1%eth0\n", "nameservers 127.0.0.1", ""]
        {
            assert_eq!(copied(kept, "unused"), kept);
        }
    }

    #[test]
    fn behind_systemd_resolved_a_pod_asks_the_servers_that_it_asks() {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";
        let real = "nameserver 192.0.2.53\nnameserver 127.0.0.1\nsearch lan\n";
        assert_eq!(copied(stub, real), "nameserver 192.0.2.53\nsearch lan\n");
        assert_eq!(copied(stub, ""), "options edns0 trust-ad\nsearch lan\n", "it does not run");
        assert_eq!(copied("nameserver 127.0.0.53\nnameserver 10.0.0.1\n", real), "nameserver 10.0.0.1\n");
        assert_eq!(copied("nameserver 127.0.0.53\nnameserver 127.0.0.1\n", real), "", "another server decides there");
    }

    #[test]
    fn a_pod_in_a_user_network_asks_the_name_server_with_its_own_lists_or_those_of_the_host() {
        let host = "nameserver 10.0.0.53\nsearch lan corp\noptions edns0 timeout:2\n";
        let asking = |dns: Option<&cri::DnsConfig>, host: &str| {
            String::from_utf8(asking_names(dns, host.as_bytes()).expect("valid")).expect("UTF-8")
        };
        let rows = [
            (None, host, "search lan corp\nnameserver 127.0.0.11\noptions edns0 timeout:2 ndots:0\n"),
            (None, "", "nameserver 127.0.0.11\noptions ndots:0\n"),
            (None, "options ndots:2\n", "nameserver 127.0.0.11\noptions ndots:2\n"),
            (Some(dns(&["1.1.1.1"], &[], &[])), "", "nameserver 127.0.0.11\noptions ndots:0\n"),
            (Some(dns(&[], &["a.b"], &["ndots:3"])), host, "search a.b\nnameserver 127.0.0.11\noptions ndots:3\n"),
            (Some(dns(&[], &["."], &["rotate"])), host, "nameserver 127.0.0.11\noptions rotate ndots:0\n"),
        ];
        for (dns, host, expected) in rows {
            assert_eq!(asking(dns.as_ref(), host), expected, "{dns:?} {host}");
        }
        assert_eq!(asking(None, &format!("search {} \u{7} ok\n", "x".repeat(300))).lines().next(), Some("search ok"));
        for bad in [dns(&[], &["a\nb"], &[]), dns(&["dns.example"], &[], &[]), dns(&["fe80::1%no-such-one"], &[], &[])]
        {
            assert!(asking_names(Some(&bad), b"").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_entry_cannot_add_lines() {
        for bad in ["1.1.1.1\nnameserver 6.6.6.6", "", "a\0"] {
            assert!(of_settings(&dns(&[bad], &[], &[])).is_err());
        }
    }
}
