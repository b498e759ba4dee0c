// SPDX-License-Identifier: Apache-2.0
//! Which hosts a request may name. A web page can make its own domain resolve to 127.0.0.1 and then read what is served
//! there as if it were its own (DNS rebinding), but its requests name that domain.

use http::{HeaderMap, Uri, header, uri::Authority};
use std::net::IpAddr;

/// Whether a request addresses this machine by a name that cannot resolve to anything else.
pub fn is_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let named = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    // A request in the form for proxies has the host in its request line as well.
    named.is_some_and(|host| is_loopback(&host)) && uri.authority().is_none_or(is_loopback)
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(uri: &str, hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().expect("a header"));
        }
        is_this_machine(&uri.parse().expect("a uri"), &headers)
    }

    #[test]
    fn only_names_that_cannot_resolve_elsewhere_are_this_machine() {
        for host in ["localhost", "LOCALHOST:9644", "127.0.0.1", "127.0.0.1:9644", "127.1.2.3", "[::1]", "[::1]:9644"] {
            assert!(allowed("/metrics", &[host]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9644",
            "10.0.0.1",
            "localhost@evil.example",
            "[::2]",
            "",
        ] {
            assert!(!allowed("/metrics", &[host]), "{host}");
        }
        assert!(!allowed("/metrics", &[]), "no host");
        assert!(!allowed("/metrics", &["localhost", "localhost"]), "two");
        assert!(!allowed("http://evil.example/metrics", &["localhost"]), "another one in the request line");
        assert!(allowed("http://localhost/metrics", &["localhost"]));
    }
}
