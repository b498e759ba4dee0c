// SPDX-License-Identifier: Apache-2.0
//! What a pod's request holds for network plugins.

use super::quantity;
use crate::error::{Error, Result};
use gorae_cni::capability::{Capabilities, PortMapping, Shape};
use gorae_proto::cri;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Rates that make sense, in bits per second: 1k to 1P.
const RATES: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000_000_000;
/// The largest burst that the bandwidth plugin takes, in bits.
const BURST: u64 = 8 * (u32::MAX as u64 - 1);

/// The values of all capabilities. Each plugin gets those that it asks for.
///
/// # Errors
/// `InvalidArgument` for a port or a bandwidth that is none.
pub fn capabilities(config: &cri::PodSandboxConfig) -> Result<Capabilities> {
    let mut all = Capabilities::default();
    all.port_mappings(&port_mappings(&config.port_mappings)?);
    all.bandwidth(shape(config, "ingress")?, shape(config, "egress")?);
    if let Some(dns) = &config.dns_config {
        all.dns(&dns.servers, &dns.searches, &dns.options);
    }
    all.cgroup_path(config.linux.as_ref().map(|linux| linux.cgroup_parent.as_str()).unwrap_or_default());
    all.annotations(&config.annotations.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<BTreeMap<_, _>>());
    Ok(all)
}

fn port_mappings(mappings: &[cri::PortMapping]) -> Result<Vec<PortMapping>> {
    let mut all = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.host_port != 0) {
        let port = |field: &str, number: i32| {
            let port = u16::try_from(number).ok().filter(|port| *port != 0);
            port.ok_or_else(|| Error::invalid(format!("port_mappings.{field}: {number} is not a port number")))
        };
        let protocol = match mapping.protocol() {
            cri::Protocol::Tcp => "tcp",
            cri::Protocol::Udp => "udp",
            cri::Protocol::Sctp => "sctp",
        };
        let host_ip = match mapping.host_ip.as_str() {
            "" => None,
            text => Some(
                text.parse::<IpAddr>()
                    .map_err(|_| Error::invalid(format!("port_mappings.host_ip: {text:?} is not an address")))?,
            ),
        };
        all.push(PortMapping {
            host_port: port("host_port", mapping.host_port)?,
            container_port: port("container_port", mapping.container_port)?,
            protocol,
            host_ip,
        });
    }
    Ok(all)
}

/// The limit of one direction, from the annotation that Kubernetes has for it.
fn shape(config: &cri::PodSandboxConfig, direction: &str) -> Result<Option<Shape>> {
    let key = format!("kubernetes.io/{direction}-bandwidth");
    let Some(text) = config.annotations.get(&key) else { return Ok(None) };
    let rate = quantity::parse(text).filter(|rate| RATES.contains(rate));
    let rate = rate.ok_or_else(|| Error::invalid(format!("annotation {key}: {text:?} is not a rate from 1k to 1P")))?;
    Ok(Some(Shape { rate, burst: BURST }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(config: &cri::PodSandboxConfig) -> serde_json::Value {
        serde_json::to_value(capabilities(config).expect("valid")).expect("JSON")
    }

    #[test]
    fn a_pods_request_becomes_the_values_that_plugins_know() {
        let port = |host_port, protocol: cri::Protocol, host_ip: &str| cri::PortMapping {
            protocol: protocol.into(),
            container_port: 80,
            host_port,
            host_ip: host_ip.into(),
        };
        let config = cri::PodSandboxConfig {
            port_mappings: vec![
                port(8080, cri::Protocol::Tcp, ""),
                port(0, cri::Protocol::Tcp, ""),
                port(53, cri::Protocol::Udp, "10.0.0.1"),
            ],
            annotations: [("kubernetes.io/ingress-bandwidth".to_owned(), "10M".to_owned())].into(),
            dns_config: Some(cri::DnsConfig { servers: vec!["10.96.0.10".into()], ..Default::default() }),
            linux: Some(cri::LinuxPodSandboxConfig { cgroup_parent: "/kubepods".into(), ..Default::default() }),
            ..Default::default()
        };
        let expected = json!({
            "portMappings": [
                {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""},
                {"hostPort": 53, "containerPort": 80, "protocol": "udp", "hostIP": "10.0.0.1"},
            ],
            "bandwidth": {"ingressRate": 10_000_000, "ingressBurst": 34_359_738_352_u64},
            "dns": {"servers": ["10.96.0.10"], "searches": [], "options": []},
            "cgroupPath": "/kubepods",
            "io.kubernetes.cri.pod-annotations": {"kubernetes.io/ingress-bandwidth": "10M"},
        });
        assert_eq!(values(&config), expected);
        assert_eq!(values(&cri::PodSandboxConfig::default()), json!({}));
    }

    #[test]
    fn a_rate_that_is_none_fails_the_pod() {
        for rate in ["", "fast", "10", "2P"] {
            let annotations = [("kubernetes.io/egress-bandwidth".to_owned(), rate.to_owned())].into();
            let error =
                capabilities(&cri::PodSandboxConfig { annotations, ..Default::default() }).expect_err("refused");
            assert!(error.to_string().contains("egress-bandwidth"), "{error}");
        }
    }
}
