// SPDX-License-Identifier: Apache-2.0
//! What a pod of people has besides the CRI's configuration of it: `gorae.v1.PodNetworkSettings`, checked before anything
//! is made.
//!
//! The settings of the request are in the pod's record. Those of a pod that was connected to networks later, or disconnected
//! from them, are in a record beside it (`kept.rs`): a pod that is made like this one has the same networks.

mod hosts;
mod kept;
mod wish;

pub use hosts::{MAX_HOSTS, hosts};
pub use kept::{RECORD, current, keep, read, restore};
pub use wish::{of_wish, wish};

use super::request;
use crate::error::{Error, Result};
use gorae_proto::cri::{self, NamespaceMode};
use gorae_proto::gorae::pod_network_settings::Kind;
use gorae_proto::gorae::{NetworkWish, NetworkWishes, PodNetworkSettings};

/// The name of the network that a pod is in when nobody asks for one, among networks that people made.
pub const DEFAULT: &str = "bridge";

/// The most networks that one pod is in.
pub const MAX_NETWORKS: usize = 64;
/// The most names of a pod in all of its networks, or in one.
const MAX_NAMES: usize = 64;

/// Which network a request asks for.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// Whichever the node is set to.
    Nodes,
    /// None: only a loopback interface.
    Loopback,
    /// The network namespace of the pod with this id, which may be shortened.
    Of(&'a str),
    /// Networks that people made.
    Networks(&'a NetworkWishes),
}

/// Which network the settings ask for.
pub fn asked(settings: Option<&PodNetworkSettings>) -> Asked<'_> {
    match settings.and_then(|settings| settings.kind.as_ref()) {
        None | Some(Kind::None(false)) => Asked::Nodes,
        Some(Kind::None(true)) => Asked::Loopback,
        Some(Kind::OfPod(id)) => Asked::Of(id),
        Some(Kind::Networks(wishes)) => Asked::Networks(wishes),
    }
}

/// Checks what can be checked without looking at the machine.
///
/// # Errors
/// `InvalidArgument` with the field.
pub fn check(settings: &PodNetworkSettings, config: &cri::PodSandboxConfig) -> Result<()> {
    hosts::check(&settings.hosts)?;
    let asked = asked(Some(settings));
    if !matches!(asked, Asked::Nodes) && request::namespaces(config).network() == NamespaceMode::Node {
        return Err(Error::invalid("network: a pod on the node's network can be in no other one"));
    }
    match asked {
        Asked::Nodes => Ok(()),
        Asked::Loopback => refuse_ports(config, "a pod without a network"),
        Asked::Of(id) => check_guest(id, settings, config),
        Asked::Networks(wishes) => check_wishes(wishes),
    }
}

fn refuse_ports(config: &cri::PodSandboxConfig, whose: &str) -> Result<()> {
    if config.port_mappings.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("port_mappings: {whose} cannot have host ports")))
}

/// What belongs to the pod whose network namespace it is.
fn check_guest(id: &str, settings: &PodNetworkSettings, config: &cri::PodSandboxConfig) -> Result<()> {
    const WHOSE: &str = "a pod in the network of another one";
    if id.is_empty() {
        return Err(Error::invalid("network.of_pod is empty"));
    }
    refuse_ports(config, WHOSE)?;
    let asked = config.linux.as_ref().map(|linux| &linux.sysctls);
    let wrong = [
        (!settings.hosts.is_empty(), "network.hosts"),
        (config.dns_config.is_some(), "dns_config"),
        (!config.hostname.is_empty(), "hostname"),
        (asked.into_iter().flatten().any(|(name, _)| name.starts_with("net")), "sysctls of the network"),
        (request::user_mapping(config)?.is_some(), "a user namespace"),
    ];
    match wrong.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, what)) => Err(Error::invalid(format!("{WHOSE} cannot have {what} of its own"))),
        None => Ok(()),
    }
}

fn check_wishes(wishes: &NetworkWishes) -> Result<()> {
    let count = wishes.networks.len();
    if count > MAX_NETWORKS {
        return Err(Error::invalid(format!("network.networks: {count} networks; {MAX_NETWORKS} are possible")));
    }
    let names = wishes.networks.iter().map(|wish| wish.aliases.len()).chain([wishes.names.len()]);
    if names.max() > Some(MAX_NAMES) {
        return Err(Error::invalid(format!("network.networks: more than {MAX_NAMES} names or aliases")));
    }
    wishes.networks.iter().try_for_each(|asked| {
        let plain = NetworkWish { network: asked.network.clone(), ..NetworkWish::default() };
        if asked.network == DEFAULT && *asked != plain {
            return Err(Error::invalid(format!(
                "network {}: aliases, addresses and priorities are for networks that people made",
                asked.network
            )));
        }
        wish(asked).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::gorae::HostName;

    fn networks(wishes: &[NetworkWish]) -> PodNetworkSettings {
        let networks = NetworkWishes { networks: wishes.to_vec(), names: vec!["web".into()] };
        PodNetworkSettings { kind: Some(Kind::Networks(networks)), ..Default::default() }
    }

    fn named(network: &str) -> NetworkWish {
        NetworkWish { network: network.into(), ..Default::default() }
    }

    fn refused(settings: &PodNetworkSettings, config: &cri::PodSandboxConfig) -> String {
        check(settings, config).expect_err("refused").to_string()
    }

    #[test]
    fn each_pod_has_one_kind_of_network() {
        let plain = cri::PodSandboxConfig::default();
        assert!(matches!(asked(None), Asked::Nodes));
        check(&networks(&[named("a"), named("b")]), &plain).expect("two networks");
        let of_node = super::super::test_config(cri::NamespaceOption {
            network: NamespaceMode::Node.into(),
            ..Default::default()
        });
        assert!(refused(&networks(&[named("a")]), &of_node).contains("node's network"));
        let default = NetworkWish { ipv4: "10.0.0.7".into(), ..named(DEFAULT) };
        assert!(refused(&networks(&[named("a"), default]), &plain).contains("networks that people made"));
        check(&networks(&[]), &plain).expect("it was disconnected from all");
        assert!(refused(&networks(&vec![named("a"); 65]), &plain).contains("65 networks"));
    }

    #[test]
    fn what_a_pod_does_not_have_of_its_own_cannot_be_set() {
        let loopback = PodNetworkSettings { kind: Some(Kind::None(true)), ..Default::default() };
        let guest = PodNetworkSettings { kind: Some(Kind::OfPod("ab12".into())), ..Default::default() };
        let ports = cri::PodSandboxConfig { port_mappings: vec![cri::PortMapping::default()], ..Default::default() };
        assert!(refused(&loopback, &ports).contains("host ports"));
        assert!(refused(&guest, &ports).contains("host ports"));
        check(&guest, &cri::PodSandboxConfig::default()).expect("nothing of its own");
        let named = cri::PodSandboxConfig { hostname: "box".into(), ..Default::default() };
        assert!(refused(&guest, &named).contains("hostname"));
        let dns = cri::PodSandboxConfig { dns_config: Some(cri::DnsConfig::default()), ..Default::default() };
        assert!(refused(&guest, &dns).contains("dns_config"));
        let host = HostName { name: "a".into(), address: "192.0.2.1".into() };
        let with_hosts = PodNetworkSettings { hosts: vec![host], ..guest };
        assert!(refused(&with_hosts, &cri::PodSandboxConfig::default()).contains("network.hosts"));
    }
}
