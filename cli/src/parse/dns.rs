// SPDX-License-Identifier: Apache-2.0
//! What a container looks names up with: `--dns`, `--dns-search`, `--dns-option` and `--add-host`.

use crate::parse::network::alias;
use anyhow::{Context, Result, ensure};
use gorae_proto::gorae::HostName;
use std::net::IpAddr;

/// Docker's word for an address at which the container reaches the machine.
const HOST_GATEWAY: &str = "host-gateway";

/// Reads one `--dns`: the address of a server.
///
/// # Errors
/// When it is not an address.
pub fn server(text: &str) -> Result<String> {
    let address: IpAddr =
        text.parse().ok().with_context(|| format!("bad DNS server {text:?}: the form is an address"))?;
    Ok(address.to_string())
}

/// Reads one `--dns-search`: a domain that short names are also looked up in, or `.` for none.
///
/// # Errors
/// When it is not a domain.
pub fn search(text: &str) -> Result<String> {
    let domain = text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(text);
    ensure!(
        text == "." || alias(domain).is_ok(),
        "bad search domain {text:?}: the form is a domain, such as example.com, or \".\" for none"
    );
    Ok(text.to_owned())
}

/// Reads one `--dns-option`: a word of resolv.conf, such as `ndots:2`.
///
/// # Errors
/// When it is not one word.
pub fn option(text: &str) -> Result<String> {
    let word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b';');
    ensure!(word, "bad DNS option {text:?}: the form is one word of resolv.conf, such as ndots:2");
    Ok(text.to_owned())
}

/// Reads one `--add-host`: `NAME:ADDRESS` or `NAME=ADDRESS`, where IPv6 addresses may have brackets and the address may be
/// `host-gateway`.
///
/// # Errors
/// When the text has another form.
pub fn host(text: &str) -> Result<HostName> {
    let read = || -> Result<HostName> {
        let (name, address) =
            text.split_once('=').or_else(|| text.split_once(':')).context("the address is missing")?;
        Ok(HostName { name: alias(name)?, address: address_of(address)? })
    };
    read().with_context(|| format!("bad host {text:?}: the form is NAME:ADDRESS or NAME:{HOST_GATEWAY}"))
}

fn address_of(text: &str) -> Result<String> {
    if text == HOST_GATEWAY {
        return Ok(text.to_owned());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = bare.parse().ok().with_context(|| format!("{text:?} is not an address"))?;
    Ok(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_an_address_or_the_machines() {
        let rows = [
            ("db:10.0.0.5", "db", "10.0.0.5"),
            ("db=10.0.0.5", "db", "10.0.0.5"),
            ("db:fd00::5", "db", "fd00::5"),
            ("db=fd00::5", "db", "fd00::5"),
            ("db:[fd00::5]", "db", "fd00::5"),
            ("host.docker.internal:host-gateway", "host.docker.internal", "host-gateway"),
        ];
        for (text, name, address) in rows {
            assert_eq!(host(text).expect(text), HostName { name: name.into(), address: address.into() });
        }
        for text in ["", "db", "db:", ":10.0.0.5", "db:gateway", "a b:10.0.0.5", "db:10.0.0.5:80", "db\n:10.0.0.5"] {
            assert!(host(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn servers_are_addresses_and_the_rest_are_single_words() {
        assert_eq!(
            (server("8.8.8.8").expect("IPv4"), server("FD00::1").expect("IPv6")),
            ("8.8.8.8".into(), "fd00::1".into())
        );
        assert!(server("dns.google").is_err() && server("8.8.8.8:53").is_err());
        for text in [".", "example.com", "example.com.", "corp"] {
            assert_eq!(search(text).expect(text), text);
        }
        for text in ["", "..", "a b", "a\nnameserver 6.6.6.6", "-é"] {
            assert!(search(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(option("ndots:2").expect("option"), "ndots:2");
        for text in ["", "a b", "a\n", "a#b"] {
            assert!(option(text).is_err(), "{text:?} was taken");
        }
    }
}
