// SPDX-License-Identifier: Apache-2.0
//! The names of all user networks, and the message that tells them.

use super::host::HostResolver;
use gorae_proto::shim::{NameMember, NameNetwork, NameServers, SetNames};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The longest name, as text.
const MAX_NAME: usize = 253;
/// The longest part of one between two dots.
const MAX_LABEL: usize = 63;
/// The most servers of a pod.
const MAX_SERVERS: usize = 3;

/// All names of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The networks.
    pub networks: Vec<NetworkNames>,
    /// The servers of pods that have some of their own, by the pod's id: those of the host are never asked for them.
    pub servers: BTreeMap<String, Vec<SocketAddr>>,
}

/// The names in one network. A pod sees the names of the networks that it is a member of.
///
/// The default network has no names, but a pod that is in it reaches the outside: it has to be here as a network that is
/// not internal, with members without names, if such a pod is in an internal network as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkNames {
    /// Its name: a member is found by its name, a dot and this, too.
    pub name: String,
    /// Whether its pods get no answers from outside, unless they are in another network, too.
    pub internal: bool,
    /// Its subnets: servers in them are reached by its pods, even if nothing else is.
    pub subnets: Vec<IpNet>,
    /// Its pods.
    pub members: Vec<MemberNames>,
}

/// A pod in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberNames {
    /// The pod's id.
    pub pod: String,
    /// What it is found by. The first one is what its addresses resolve to. What cannot be a name in a message is left out:
    /// at most 253 characters, 63 between two dots, printable ASCII, and not two dots in a row.
    pub names: Vec<String>,
    /// Its addresses in this network.
    pub addresses: Vec<IpAddr>,
    /// Where this network is among the pod's, when it looks up a name that several of them have: the lowest first.
    pub rank: u32,
}

impl Table {
    /// The message for the name server. It has nothing that the name server refuses: one bad name must not keep all others
    /// from being told.
    pub(super) fn message(&self, host: &HostResolver) -> SetNames {
        SetNames {
            networks: self.networks.iter().filter_map(NetworkNames::message).collect(),
            servers: texts(&host.servers),
            single_labels: host.completes_names(),
            own_servers: self.servers.iter().filter_map(|(pod, list)| self.own_servers(pod, list)).collect(),
        }
    }

    /// The servers of a pod, if it is in a network and has any. One that reaches nothing outside has those in its networks.
    /// They are asked from the node, so without this the node would be its way out.
    fn own_servers(&self, pod: &str, list: &[SocketAddr]) -> Option<NameServers> {
        let is_in = |network: &&NetworkNames| network.members.iter().any(|member| member.pod == pod);
        let networks: Vec<&NetworkNames> = self.networks.iter().filter(is_in).collect();
        if networks.is_empty() || list.is_empty() {
            return None;
        }
        let is_inside = |server: &&SocketAddr| networks.iter().any(|network| network.contains(server.ip()));
        let near: Vec<SocketAddr> = list.iter().filter(is_inside).copied().collect();
        let inside = networks.iter().all(|network| network.internal) && !near.is_empty();
        let servers = texts(if inside { &near } else { list });
        Some(NameServers { container_id: pod.to_owned(), servers, inside })
    }
}

impl NetworkNames {
    fn contains(&self, ip: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(&ip))
    }

    fn message(&self) -> Option<NameNetwork> {
        let member = |member: &MemberNames| NameMember {
            container_id: member.pod.clone(),
            names: member.names.iter().filter(|name| is_name(name)).cloned().collect(),
            addresses: member.addresses.iter().map(ToString::to_string).collect(),
            rank: member.rank,
        };
        let name = asked_as(&self.name);
        is_name(&name).then(|| NameNetwork {
            name,
            internal: self.internal,
            members: self.members.iter().filter(|member| !member.pod.is_empty()).map(member).collect(),
        })
    }
}

/// A network's name as somebody can ask for it: `a.` and `a..b` are names of networks, but not of anything in a message.
fn asked_as(network: &str) -> String {
    network.split('.').filter(|label| !label.is_empty()).collect::<Vec<_>>().join(".")
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()))
}

fn texts(servers: &[SocketAddr]) -> Vec<String> {
    servers.iter().take(MAX_SERVERS).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let names = ["web", "a.b", "a..b", "a.", "", "a b", "ä", &"x".repeat(63), &"y".repeat(64), "Web_1"];
        let names = names.map(str::to_owned).to_vec();
        let member = MemberNames { pod: "1".into(), names, addresses: vec![[10, 0, 0, 1].into()], rank: 2 };
        let nobody = MemberNames { pod: String::new(), names: vec![], addresses: vec![], rank: 0 };
        let network = |name: &str, members| NetworkNames {
            name: name.into(),
            internal: false,
            subnets: vec!["10.0.0.0/30".parse().unwrap()],
            members,
        };
        let server = |n| SocketAddr::from(([10, 0, 0, n], 53));
        let servers = [("1", vec![1, 2, 3, 4]), ("2", vec![1]), ("3", vec![])];
        Table {
            networks: vec![network("net..a.", vec![member, nobody]), network("", vec![])],
            servers: servers.map(|(pod, list)| (pod.to_owned(), list.into_iter().map(server).collect())).into(),
        }
    }

    #[test]
    fn what_the_name_server_would_refuse_is_not_told() {
        let host = HostResolver::parse(b"nameserver 127.0.0.53\nsearch lan\n");
        let message = table().message(&host);
        assert_eq!((message.servers, message.single_labels), (vec!["127.0.0.53:53".to_owned()], true));
        let [network] = &message.networks[..] else { panic!("{:?}", message.networks) };
        assert_eq!((network.name.as_str(), network.members.len()), ("net.a", 1));
        assert_eq!(network.members[0].names, ["web", "a.b", &"x".repeat(63), "Web_1"]);
        assert_eq!(
            (network.members[0].addresses.as_slice(), network.members[0].rank),
            (&["10.0.0.1".to_owned()][..], 2)
        );
    }

    #[test]
    fn only_members_have_servers_of_their_own() {
        let own = table().message(&HostResolver::default()).own_servers;
        let servers = ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"].map(str::to_owned).to_vec();
        assert_eq!(own, [NameServers { container_id: "1".into(), servers, inside: false }]);
    }

    #[test]
    fn a_pod_in_internal_networks_has_only_the_servers_in_them() {
        let own = |table: &Table| {
            let message = table.message(&HostResolver::default());
            let own = message.own_servers.into_iter().next().expect("of pod 1");
            (own.servers.join(" "), own.inside)
        };
        let mut table = table();
        table.networks[0].internal = true;
        table.servers.insert("1".into(), [9, 2].map(|n| SocketAddr::from(([10, 0, 0, n], 53))).to_vec());
        assert_eq!(own(&table), ("10.0.0.2:53".to_owned(), true));
        // The name server asks none of these.
        table.networks[0].subnets.clear();
        assert_eq!(own(&table), ("10.0.0.9:53 10.0.0.2:53".to_owned(), false));
        // Another network that reaches out.
        let mut out = table.networks[0].clone();
        out.internal = false;
        table.networks.push(out);
        assert_eq!(own(&table), ("10.0.0.9:53 10.0.0.2:53".to_owned(), false));
    }
}
