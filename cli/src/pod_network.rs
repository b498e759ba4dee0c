// SPDX-License-Identifier: Apache-2.0
//! What the pod of one `run` has besides the CRI's configuration. Pure: nothing is looked up here.

use crate::parse::network::{Network, Wish};
use crate::run_spec::RunSpec;
use gorae_proto::cri::DnsConfig;
use gorae_proto::gorae::pod_network_settings::Kind;
use gorae_proto::gorae::{NetworkWish, NetworkWishes, PodNetworkSettings};

/// The settings for the request; `None` when the CRI can say all of it, so that any runtime can make the pod.
pub fn settings(spec: &RunSpec) -> Option<PodNetworkSettings> {
    let kind = match &spec.network {
        Network::Own | Network::Host => None,
        Network::None => Some(Kind::None(true)),
        Network::Container(_) => spec.joined.as_ref().map(|joined| Kind::OfPod(joined.pod.clone())),
        Network::Made(wishes) => {
            Some(Kind::Networks(NetworkWishes { networks: wishes.iter().map(wish).collect(), names: names(spec) }))
        }
    };
    let dns_adds = spec.dns != DnsConfig::default();
    let is_needed = kind.is_some() || dns_adds || !spec.hosts.is_empty();
    is_needed.then(|| PodNetworkSettings { kind, hosts: spec.hosts.clone(), dns_adds })
}

/// One network in the form of a request.
pub fn wish(wish: &Wish) -> NetworkWish {
    NetworkWish {
        network: wish.network.clone(),
        aliases: wish.aliases.clone(),
        ipv4: wish.ipv4.map(|address| address.to_string()).unwrap_or_default(),
        ipv6: wish.ipv6.map(|address| address.to_string()).unwrap_or_default(),
        gateway_priority: wish.gateway_priority.unwrap_or_default(),
        mac: wish.mac.map(Vec::from).unwrap_or_default(),
    }
}

/// What the container is found by in all of its networks: its name, and its host name if one was given that is another one.
/// A host name that was made from the name of this container may be the name of another one: `web-1` from `web_1`.
fn names(spec: &RunSpec) -> Vec<String> {
    let given = spec.hostname.clone().filter(|host| !host.is_empty() && !host.eq_ignore_ascii_case(&spec.name));
    std::iter::once(spec.name.clone()).chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_spec::Joined;
    use gorae_proto::gorae::HostName;

    fn spec(network: Network) -> RunSpec {
        RunSpec { name: "web".into(), network, ..RunSpec::default() }
    }

    #[test]
    fn what_the_cri_can_say_needs_no_settings() {
        for network in [Network::Own, Network::Host] {
            assert_eq!(settings(&spec(network)), None);
        }
    }

    #[test]
    fn lists_and_hosts_are_added_to_those_of_the_node() {
        let dns = DnsConfig { options: vec!["ndots:2".into()], ..Default::default() };
        let with_dns = settings(&RunSpec { dns, ..spec(Network::Host) }).expect("needed");
        assert_eq!(with_dns, PodNetworkSettings { dns_adds: true, ..Default::default() });
        let hosts = vec![HostName { name: "db".into(), address: "10.0.0.5".into() }];
        let with_hosts = settings(&RunSpec { hosts: hosts.clone(), ..spec(Network::Own) }).expect("needed");
        assert_eq!(with_hosts, PodNetworkSettings { hosts, ..Default::default() });
    }

    #[test]
    fn none_and_the_network_of_a_container_are_said_as_such() {
        assert_eq!(settings(&spec(Network::None)).expect("needed").kind, Some(Kind::None(true)));
        let joined = Some(Joined { pod: "12ab".into(), container: "db".into() });
        let spec = RunSpec { joined, ..spec(Network::Container("db".into())) };
        assert_eq!(settings(&spec).expect("needed").kind, Some(Kind::OfPod("12ab".into())));
    }

    #[test]
    fn a_network_of_people_has_the_wishes_and_the_names() {
        let wishes = vec![
            Wish {
                network: "back".into(),
                aliases: vec!["db".into()],
                ipv4: "10.1.0.9".parse().ok(),
                ipv6: "fd00::9".parse().ok(),
                mac: Some([2, 0, 0, 0, 0, 1]),
                gateway_priority: Some(-5),
            },
            Wish { network: "front".into(), ..Wish::default() },
        ];
        let named = |name: &str, hostname: Option<&str>| {
            let plain = spec(Network::Made(wishes.clone()));
            let spec = RunSpec { name: name.into(), hostname: hostname.map(str::to_owned), ..plain };
            match settings(&spec).expect("needed").kind {
                Some(Kind::Networks(networks)) => networks,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(named("web", Some("box")).names, ["web", "box"]);
        assert_eq!(named("web", Some("Web")).names, ["web"]);
        assert_eq!(named("web_1", None).names, ["web_1"]);
        let [back, front] = &named("web", None).networks[..] else { panic!("two networks") };
        assert_eq!((back.ipv4.as_str(), back.ipv6.as_str(), back.gateway_priority), ("10.1.0.9", "fd00::9", -5));
        assert_eq!((back.aliases.as_slice(), back.mac.as_slice()), (&["db".to_owned()][..], &[2, 0, 0, 0, 0, 1][..]));
        assert_eq!(*front, NetworkWish { network: "front".into(), ..Default::default() });
    }
}
