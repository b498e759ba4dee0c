// SPDX-License-Identifier: Apache-2.0
//! The ports of `run -p [IP:]HOST:CONTAINER[/PROTOCOL]`, ranges included, and those of `port-forward`.

use anyhow::{Context, Result, bail, ensure};
use gorae_proto::cri::{PortMapping, Protocol};
use std::net::IpAddr;

/// The most ports in one `-p`: a typo must not make sixty thousand rules.
const MAX_RANGE: u16 = 1024;

/// Reads one `-p`. A range gives one mapping for each port.
///
/// # Errors
/// When the text has another form, a port is not between 1 and 65535, or the ranges do not match.
pub fn publish(text: &str) -> Result<Vec<PortMapping>> {
    read(text).with_context(|| format!("bad port {text:?}: the form is [IP:]HOST:CONTAINER[/tcp|udp|sctp]"))
}

fn read(text: &str) -> Result<Vec<PortMapping>> {
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, name)) => (ports, protocol(name)?),
        None => (text, Protocol::Tcp),
    };
    let (rest, container) = ports.rsplit_once(':').context("the host port is missing")?;
    let (host_ip, host) = match rest.rsplit_once(':') {
        Some((ip, host)) => (address(ip)?, host),
        None => (String::new(), rest),
    };
    let (container, host) = (range(container)?, range(host)?);
    ensure!(container.len() == host.len(), "the two ranges have different lengths");
    let mapping = |(container, host): (u16, u16)| PortMapping {
        protocol: protocol.into(),
        container_port: container.into(),
        host_port: host.into(),
        host_ip: host_ip.clone(),
    };
    Ok(container.into_iter().zip(host).map(mapping).collect())
}

fn protocol(name: &str) -> Result<Protocol> {
    Ok(match name {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => bail!("unknown protocol {name:?}"),
    })
}

/// Reads an IP address. IPv6 addresses have brackets around them, as in URLs.
fn address(text: &str) -> Result<String> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').context("the closing bracket is missing")?,
        None => text,
    };
    let ip: IpAddr = bare.parse().map_err(|_| anyhow::anyhow!("{text:?} is not an IP address"))?;
    ensure!(ip.is_ipv4() || text.starts_with('['), "an IPv6 address needs brackets around it");
    Ok(ip.to_string())
}

fn range(text: &str) -> Result<Vec<u16>> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    ensure!(first <= last, "the range runs backwards");
    ensure!(last - first < MAX_RANGE, "more than {MAX_RANGE} ports in one range");
    Ok((first..=last).collect())
}

fn port(text: &str) -> Result<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => bail!("{text:?} is not a port (1 to 65535)"),
    }
}

/// One port to forward from this machine into a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Port to listen on here; 0 lets the kernel choose one.
    pub local: u16,
    /// Port in the pod.
    pub remote: u16,
}

/// Reads one port of `port-forward`: `PORT`, `LOCAL:REMOTE` or `:REMOTE`.
///
/// # Errors
/// When the text has another form, or a port is not between 1 and 65535.
pub fn forward(text: &str) -> Result<Forward> {
    let read = || match text.split_once(':') {
        Some(("", remote)) => Ok(Forward { local: 0, remote: port(remote)? }),
        Some((local, remote)) => Ok(Forward { local: port(local)?, remote: port(remote)? }),
        None => port(text).map(|port| Forward { local: port, remote: port }),
    };
    read().with_context(|| format!("bad port {text:?}: the form is PORT, LOCAL:REMOTE or :REMOTE"))
}

/// Formats mappings for `ps`: `*:8080->80/tcp, 127.0.0.1:53->53/udp`.
pub fn show(mappings: &[PortMapping]) -> String {
    let one = |m: &PortMapping| {
        let ip = if m.host_ip.is_empty() { "*" } else { &m.host_ip };
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
        let protocol = Protocol::try_from(m.protocol).unwrap_or(Protocol::Tcp).as_str_name().to_ascii_lowercase();
        format!("{ip}:{}->{}/{protocol}", m.host_port, m.container_port)
    };
    mappings.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_published_port_is_understood() {
        let rows = [
            ("8080:80", "*:8080->80/tcp"),
            ("127.0.0.1:8080:80", "127.0.0.1:8080->80/tcp"),
            ("[::1]:8080:80/udp", "[::1]:8080->80/udp"),
            ("53:53/sctp", "*:53->53/sctp"),
            ("8000-8001:80-81/tcp", "*:8000->80/tcp, *:8001->81/tcp"),
        ];
        for (text, shown) in rows {
            assert_eq!(show(&publish(text).expect(text)), shown, "{text}");
        }
    }

    #[test]
    fn an_inexact_port_is_refused() {
        for text in [
            "",
            "80",
            ":80",
            "80:",
            "0:80",
            "80:0",
            "65536:80",
            "+80:80",
            " 80:80",
            "80:80/",
            "80:80/TCP",
            "80:80/icmp",
            "1.2.3:80:80",
            "::1:80:80",
            "[::1:80:80",
            "1-2:80",
            "2-1:80-81",
            "1-2000:1-2000",
            "a:b",
            "80:80:80:80",
            "localhost:80:80",
            "٨٠:80",
        ] {
            assert!(publish(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn forwards_have_three_forms() {
        assert_eq!(forward("80").expect("one"), Forward { local: 80, remote: 80 });
        assert_eq!(forward("8080:80").expect("two"), Forward { local: 8080, remote: 80 });
        assert_eq!(forward(":80").expect("chosen"), Forward { local: 0, remote: 80 });
        for text in ["", ":", "80:", "0", "0:80", "80:0", "1:2:3", "x"] {
            assert!(forward(text).is_err(), "{text:?} was taken");
        }
    }
}
