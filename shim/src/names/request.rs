// SPDX-License-Identifier: Apache-2.0
//! What the daemon tells the name server, checked.

use crate::failure;
use crate::malformed::{Malformed, Result, absolute, each};
use crate::wire::{AddNameClient, NameCounters, NameMember, NameNetwork, NameServers, ServeNames, SetNames};
use gorae_names::{Counters, Member, Name, Network, OwnServers, Upstream};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How long it goes on without anybody, if the daemon does not say.
const LINGER: Duration = Duration::from_secs(60);
/// The most servers: each may cost a client seconds, and the C library takes no more either.
const MAX_SERVERS: usize = 3;

/// Where to serve: a checked [`ServeNames`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) state_dir: PathBuf,
    pub(super) linger: Duration,
}

/// Checks the first message.
pub(super) fn place(request: ServeNames) -> failure::Result<Place> {
    let linger = Some(request.linger_ms).filter(|ms| *ms > 0);
    let linger = linger.map_or(LINGER, |ms| Duration::from_millis(ms.into()));
    Ok(Place { state_dir: absolute("state_dir", request.state_dir)?.into(), linger })
}

/// Checks names and servers.
pub(super) fn names(request: SetNames) -> failure::Result<(Vec<Network>, Upstream)> {
    let networks = each("networks", request.networks, network)?;
    let servers = servers(request.servers)?;
    let own = own_servers(request.own_servers, &networks)?;
    Ok((networks, Upstream { servers, own, single_labels: request.single_labels }))
}

fn servers(list: Vec<String>) -> Result<Vec<SocketAddr>> {
    if list.len() > MAX_SERVERS {
        return Err(Malformed::new("servers", format!("there are {}, not {MAX_SERVERS}", list.len())));
    }
    each("servers", list, |text| parsed("", &text))
}

/// Only members have servers: what is kept is bounded by what the networks are, and a container that is in none asks
/// nobody.
fn own_servers(list: Vec<NameServers>, networks: &[Network]) -> Result<HashMap<String, OwnServers>> {
    let members = networks.iter().flat_map(|network| &network.members);
    let members: HashSet<&str> = members.map(|member| member.container.as_str()).collect();
    let mut own = HashMap::new();
    for (n, NameServers { container_id, servers: list, inside: are_inside }) in list.into_iter().enumerate() {
        let wrong = |field: &str, why: &str| Err(Malformed::new(format!("own_servers[{n}].{field}"), why));
        if !members.contains(container_id.as_str()) {
            return wrong("container_id", &format!("{container_id:?} is not a member of a network"));
        }
        let servers = servers(list).map_err(|wrong| wrong.within(format!("own_servers[{n}]")))?;
        if servers.is_empty() {
            return wrong("servers", "is empty");
        }
        if own.insert(container_id, OwnServers { servers, are_inside }).is_some() {
            return wrong("container_id", "has an entry already");
        }
    }
    Ok(own)
}

fn network(network: NameNetwork) -> Result<Network> {
    let NameNetwork { name: text, internal: is_internal, members } = network;
    Ok(Network { name: name("name", &text)?, is_internal, members: each("members", members, member)? })
}

fn member(member: NameMember) -> Result<Member> {
    Ok(Member {
        container: container("container_id", member.container_id)?,
        names: each("names", member.names, |text| name("", &text))?,
        addresses: each("addresses", member.addresses, |text| parsed("", &text))?,
        rank: member.rank,
    })
}

/// Checks which container is added.
pub(super) fn client(request: AddNameClient) -> failure::Result<String> {
    Ok(container("container_id", request.container_id)?)
}

fn container(field: &str, id: String) -> Result<String> {
    if id.is_empty() { Err(Malformed::new(field, "is empty")) } else { Ok(id) }
}

fn name(field: &str, text: &str) -> Result<Name> {
    Name::from_text(text).map_err(|why| Malformed::new(field, format!("{text:?} {why}")))
}

fn parsed<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|why: T::Err| Malformed::new(field, format!("{text:?}: {why}")))
}

/// The reply to a question for the counters.
pub(super) fn counters(counters: Counters) -> NameCounters {
    let of = |client: gorae_names::ClientCounters| crate::wire::NameClient {
        container_id: client.container,
        queries: client.queries,
        pauses: client.pauses,
        open: client.open,
        connections: client.connections,
    };
    let Counters { answered, relayed, refused, failures, foreign, clients } = counters;
    let clients = clients.into_iter().map(of).collect();
    NameCounters { answered, relayed, refused, failures, foreign, clients }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SetNames {
        let (names, addresses) = (vec!["web".into()], vec!["10.0.0.2".into()]);
        let member = NameMember { container_id: "c".into(), names, addresses, rank: 3 };
        let network = NameNetwork { name: "net".into(), internal: false, members: vec![member] };
        let (container_id, servers) = ("c".into(), vec!["10.0.0.9:53".into()]);
        let own_servers = vec![NameServers { container_id, servers, inside: true }];
        SetNames { networks: vec![network], servers: vec!["[fe80::1%2]:53".into()], single_labels: true, own_servers }
    }

    #[test]
    fn every_malformed_field_is_named() {
        let (networks, upstream) = names(request()).unwrap();
        assert_eq!((networks.len(), networks[0].members[0].names.len(), upstream.servers.len()), (1, 1, 1));
        assert_eq!(networks[0].members[0].rank, 3);
        assert_eq!(upstream.of("c"), ["10.0.0.9:53".parse().unwrap()]);
        assert!(upstream.own["c"].are_inside);
        assert_eq!(upstream.of("d"), upstream.servers);
        let rows = [
            ("networks[0].name:", (|r| r.networks[0].name = "a b".into()) as fn(&mut SetNames)),
            ("networks[0].members[0].container_id:", |r| r.networks[0].members[0].container_id = String::new()),
            ("networks[0].members[0].names[0]:", |r| r.networks[0].members[0].names[0] = "a..b".into()),
            ("networks[0].members[0].addresses[1]:", |r| r.networks[0].members[0].addresses.push("10.0.0".into())),
            ("servers[0]:", |r| r.servers[0] = "10.0.0.1".into()),
            ("servers:", |r| r.servers = vec!["10.0.0.1:53".into(); 4]),
            ("own_servers[0].container_id:", |r| r.own_servers[0].container_id = "d".into()),
            ("own_servers[0].servers:", |r| r.own_servers[0].servers.clear()),
            ("own_servers[0].servers:", |r| r.own_servers[0].servers = vec!["10.0.0.1:53".into(); 4]),
            ("own_servers[0].servers[1]:", |r| r.own_servers[0].servers.push("localhost:53".into())),
            ("own_servers[1].container_id:", |r| r.own_servers = vec![r.own_servers[0].clone(); 2]),
        ];
        for (field, change) in rows {
            let mut wrong = request();
            change(&mut wrong);
            let failure = names(wrong).unwrap_err();
            assert!(failure.message.starts_with(&format!("check request {field}")), "{}", failure.message);
        }
        assert!(place(ServeNames { state_dir: "relative".into(), linger_ms: 0 }).is_err());
        assert_eq!(place(ServeNames { state_dir: "/s".into(), linger_ms: 0 }).unwrap().linger, LINGER);
    }
}
