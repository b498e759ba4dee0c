// SPDX-License-Identifier: Apache-2.0
//! Host ports: strict parsing of CRI port mappings into bindings.
//!
//! A mapping says "this port of the node leads to that port of the pod". For a pod with two address families and no
//! host address it becomes two [`Binding`]s, one for each family. Pure: no sockets, no rules.

use crate::binding::{Binding, Place, Protocol};
use crate::error::NetworkError;
use gorae_proto::cri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A checked port mapping with a host port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address of the node to listen on; `None` means every address, an unspecified one every address of its family.
    pub host_ip: Option<IpAddr>,
    /// Port of the node, never 0.
    pub host_port: u16,
    /// Port of the pod, never 0.
    pub container_port: u16,
}

impl HostPort {
    /// Reads the mappings of a pod. Mappings without a host port are skipped; repeated ones count once.
    ///
    /// - Source: CRI `PortMapping`: host port 0 means "not mapped".
    ///
    /// # Errors
    /// [`NetworkError::PortMapping`] for a port out of range, an unknown protocol, or text that is not an address.
    pub fn read_all(mappings: &[cri::PortMapping]) -> Result<Vec<Self>, NetworkError> {
        let mut ports: Vec<Self> = Vec::new();
        for mapping in mappings.iter().filter(|m| m.host_port != 0) {
            let port = Self::read(mapping).map_err(|why| NetworkError::PortMapping {
                mapping: format!("{:?}:{} -> {}", mapping.host_ip, mapping.host_port, mapping.container_port),
                why,
            })?;
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        Ok(ports)
    }

    fn read(mapping: &cri::PortMapping) -> Result<Self, &'static str> {
        let protocol = match cri::Protocol::try_from(mapping.protocol) {
            Ok(cri::Protocol::Tcp) => Protocol::Tcp,
            Ok(cri::Protocol::Udp) => Protocol::Udp,
            Ok(cri::Protocol::Sctp) => Protocol::Sctp,
            Err(_) => return Err("the protocol is not TCP, UDP or SCTP"),
        };
        let port = |value: i32| u16::try_from(value).ok().filter(|p| *p != 0);
        Ok(Self {
            protocol,
            host_ip: read_host_ip(&mapping.host_ip)?,
            host_port: port(mapping.host_port).ok_or("the host port is not in 1..65535")?,
            container_port: port(mapping.container_port).ok_or("the container port is not in 1..65535")?,
        })
    }

    /// The places of this mapping on the node, before it is known which families the pod will have.
    pub fn places(&self) -> Vec<Place> {
        let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let at = self.host_ip.map_or_else(|| any.to_vec(), |host_ip| vec![host_ip]);
        at.into_iter().map(|at| Place { protocol: self.protocol, at, port: self.host_port }).collect()
    }

    /// Returns the bindings of this mapping for a pod with these addresses; the first of each family counts. There are none
    /// for every address of a family that the pod lacks.
    ///
    /// # Errors
    /// [`NetworkError::HostAddressFamily`] when the host address is one of a family that the pod lacks.
    pub fn bindings(&self, ips: &[IpAddr]) -> Result<Vec<Binding>, NetworkError> {
        let of = |place: Place| {
            let ip = ips.iter().find(|ip| ip.is_ipv4() == place.at.is_ipv4())?;
            Some(Binding::new(place, SocketAddr::new(*ip, self.container_port)))
        };
        let all: Vec<Binding> = self.places().into_iter().filter_map(of).collect();
        match (all.is_empty(), self.host_ip) {
            (true, Some(host_ip)) if !host_ip.is_unspecified() => {
                Err(NetworkError::HostAddressFamily { host_ip, port: self.host_port, protocol: self.protocol })
            }
            _ => Ok(all),
        }
    }
}

/// The places of all mappings of a pod, each once. A port may be mapped for every address and for one of them besides, which
/// then counts for that one.
///
/// # Errors
/// [`NetworkError::HostPortTaken`] for one place that would lead to two ports of the pod.
pub fn places(all: &[HostPort]) -> Result<Vec<Place>, NetworkError> {
    let mut leads: Vec<(Place, u16)> = Vec::new();
    for (place, to) in all.iter().flat_map(|port| port.places().into_iter().map(|place| (place, port.container_port))) {
        match leads.iter().find(|(other, _)| *other == place) {
            None => leads.push((place, to)),
            Some((_, other)) if *other == to => {}
            Some(_) => return Err(NetworkError::HostPortTaken { place, holder: "this pod itself".into() }),
        }
    }
    Ok(leads.into_iter().map(|(place, _)| place).collect())
}

/// Reads an optional host address. An IPv4 address written as IPv6 counts as IPv4.
fn read_host_ip(text: &str) -> Result<Option<IpAddr>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let ip = text.parse::<IpAddr>().map_err(|_| "the host address is not an IP address")?.to_canonical();
    if ip.is_multicast() || ip == IpAddr::from(Ipv4Addr::BROADCAST) {
        return Err("the host address is multicast or broadcast, not an address of this node");
    }
    Ok(Some(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(protocol: i32, host_ip: &str, host_port: i32, container_port: i32) -> cri::PortMapping {
        cri::PortMapping { protocol, host_ip: host_ip.into(), host_port, container_port }
    }

    #[test]
    fn a_mapping_without_host_port_is_no_mapping_and_a_repeated_one_is_one() {
        let all = [mapping(0, "", 0, 80), mapping(0, "", 8080, 80), mapping(0, "", 8080, 80), mapping(2, "::1", 9, 9)];
        let read = HostPort::read_all(&all).expect("valid");
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 8080, container_port: 80 });
        assert_eq!((read[1].protocol, read[1].host_ip), (Protocol::Sctp, Some("::1".parse().expect("address"))));
    }

    #[test]
    fn ports_protocols_and_addresses_out_of_range_are_refused_by_name() {
        for (bad, word) in [
            (mapping(0, "", -1, 80), "host port"),
            (mapping(0, "", 65536, 80), "host port"),
            (mapping(0, "", 80, 0), "container port"),
            (mapping(0, "", 80, 70000), "container port"),
            (mapping(3, "", 80, 80), "protocol"),
            (mapping(0, "localhost", 80, 80), "host address"),
            (mapping(0, "10.0.0.1/8", 80, 80), "host address"),
            (mapping(0, "224.0.0.1", 80, 80), "host address"),
        ] {
            let error = HostPort::read_all(&[bad]).expect_err("refused").to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_host_address_binds_only_its_family() {
        let v4: IpAddr = "10.64.0.2".parse().expect("address");
        let v6: IpAddr = "fd00::2".parse().expect("address");
        let any = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        assert_eq!(any.bindings(&[v4, v6]).expect("both").len(), 2);
        let second: IpAddr = "10.64.0.9".parse().expect("address");
        let bound = any.bindings(&[v6, v4, second]).expect("one of each family");
        assert_eq!(bound.iter().map(|b| b.to.ip()).collect::<Vec<_>>(), [v4, v6]);
        assert_eq!(any.places().len(), 2);
        let loopback = HostPort { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..any };
        assert_eq!(loopback.bindings(&[v4, v6]).expect("one")[0].to, "10.64.0.2:8080".parse().expect("address"));
        assert!(matches!(loopback.bindings(&[v6]), Err(NetworkError::HostAddressFamily { .. })));
        let all_of_one = HostPort { host_ip: Some(Ipv4Addr::UNSPECIFIED.into()), ..any };
        assert_eq!(all_of_one.bindings(&[v6]).expect("not for this pod"), []);
        let mapped = HostPort::read_all(&[mapping(0, "::ffff:127.0.0.1", 80, 8080)]).expect("valid");
        assert_eq!(mapped[0].host_ip, Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn one_place_leads_to_one_port_of_the_pod() {
        let any = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 8080 };
        let one = HostPort { host_ip: Some(Ipv4Addr::LOCALHOST.into()), container_port: 9090, ..any };
        let of_family = HostPort { host_ip: Some(Ipv4Addr::UNSPECIFIED.into()), ..any };
        let said: Vec<_> = places(&[any, one, of_family]).expect("none twice").iter().map(Place::to_string).collect();
        assert_eq!(said, ["0.0.0.0:80/tcp", "[::]:80/tcp", "127.0.0.1:80/tcp"]);
        let error = places(&[any, HostPort { container_port: 9090, ..of_family }]).expect_err("two ports");
        assert_eq!(error.to_string(), "host port 0.0.0.0:80/tcp is taken by this pod itself");
    }
}
