// SPDX-License-Identifier: Apache-2.0
//! Which names the containers have, network by network. It is never changed, only replaced as a whole.

use crate::name::Name;
use std::collections::HashMap;
use std::net::IpAddr;

/// A network as its owner describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: Name,
    /// Whether its containers are to reach nothing outside, not even by a question.
    pub is_internal: bool,
    /// The containers in it.
    pub members: Vec<Member>,
}

/// A container in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The container's id.
    pub container: String,
    /// Its names in this network. The first one is the name of its addresses.
    pub names: Vec<Name>,
    /// Its addresses in this network.
    pub addresses: Vec<IpAddr>,
    /// Where this network is among the container's, when a name is looked up: the lowest first.
    pub rank: u32,
}

/// All networks.
#[derive(Debug, Default)]
pub struct Table {
    networks: Vec<Names>,
    views: HashMap<String, View>,
}

/// The names of a network.
#[derive(Debug, Default)]
struct Names {
    /// Both `name` and `name.network`; each address once.
    addresses: HashMap<Name, Vec<IpAddr>>,
    pointers: HashMap<IpAddr, Name>,
}

/// What a container sees: nothing, until it is in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// By rank, then in the order of the table, which is the second number.
    networks: Vec<(u32, usize)>,
    /// Whether one of its networks reaches the outside.
    pub reaches_out: bool,
}

/// What the table knows about a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'t> {
    /// It has these addresses, of either family.
    Addresses(Vec<IpAddr>),
    /// It stands for an address, which has this name.
    Pointer(&'t Name),
    /// It is not a name of this container's networks.
    Unknown,
}

impl Table {
    /// Puts the names of all networks in order.
    pub fn new(networks: Vec<Network>) -> Self {
        let mut table = Self::default();
        for network in networks {
            let number = table.networks.len();
            let mut names = Names::default();
            for member in &network.members {
                names.add(&network.name, member);
                let view = table.views.entry(member.container.clone()).or_default();
                view.reaches_out |= !network.is_internal;
                if view.networks.last().is_none_or(|(_, last)| *last != number) {
                    view.networks.push((member.rank, number));
                }
            }
            table.networks.push(names);
        }
        table.views.values_mut().for_each(|view| view.networks.sort_unstable());
        table
    }

    /// What a container sees.
    pub fn view(&self, container: &str) -> View {
        self.views.get(container).cloned().unwrap_or_default()
    }

    /// The addresses of a name in the first network of the view that has it, as in Docker. One name may be that of different
    /// containers in two networks, and those of one container in both need not be reached alike.
    pub fn addresses(&self, view: &View, name: &Name) -> Found<'_> {
        let found = self.of(view).find_map(|names| names.addresses.get(name));
        found.map_or(Found::Unknown, |list| Found::Addresses(list.clone()))
    }

    /// The name of an address.
    pub fn pointer(&self, view: &View, address: IpAddr) -> Found<'_> {
        self.of(view).find_map(|names| names.pointers.get(&address)).map_or(Found::Unknown, Found::Pointer)
    }

    fn of(&self, view: &View) -> impl Iterator<Item = &Names> {
        view.networks.iter().filter_map(|&(_, number)| self.networks.get(number))
    }
}

impl Names {
    fn add(&mut self, network: &Name, member: &Member) {
        // A name that is too long together with that of the network has only its short form.
        let long = |name: &Name| name.of(network);
        for name in member.names.iter().cloned().chain(member.names.iter().filter_map(long)) {
            let list = self.addresses.entry(name).or_default();
            for address in &member.addresses {
                if !list.contains(address) {
                    list.push(*address);
                }
            }
        }
        if let Some(first) = member.names.first() {
            let name = long(first).unwrap_or_else(|| first.clone());
            self.pointers.extend(member.addresses.iter().map(|&address| (address, name.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn member(container: &str, names: &[&str], addresses: &[&str]) -> Member {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Member { container: container.into(), names: names.iter().map(|text| name(text)).collect(), addresses, rank: 0 }
    }

    fn table() -> Table {
        let front = vec![
            member("1", &["web", "app"], &["10.0.0.1", "fd00::1"]),
            member("2", &["web2", "app"], &["10.0.0.2"]),
            member("3", &["proxy"], &["10.0.0.3"]),
        ];
        let back = vec![member("3", &["proxy"], &["10.1.0.3"]), member("4", &["db"], &["10.1.0.4"])];
        Table::new(vec![
            Network { name: name("front"), is_internal: false, members: front },
            Network { name: name("back"), is_internal: true, members: back },
        ])
    }

    fn found(container: &str, text: &str) -> Option<String> {
        let table = table();
        match table.addresses(&table.view(container), &name(text)) {
            Found::Addresses(list) => Some(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            Found::Unknown => None,
            Found::Pointer(_) => panic!("not asked for"),
        }
    }

    #[test]
    fn a_container_sees_the_names_of_its_networks_only() {
        let rows = [
            ("2", "web", Some("10.0.0.1 fd00::1")),
            ("2", "WEB.front", Some("10.0.0.1 fd00::1")),
            ("2", "app", Some("10.0.0.1 fd00::1 10.0.0.2")),
            ("2", "web.back", None),
            ("2", "db", None),
            ("3", "db", Some("10.1.0.4")),
            ("3", "proxy", Some("10.0.0.3")),
            ("3", "proxy.back", Some("10.1.0.3")),
            ("4", "web", None),
            ("unknown", "web", None),
        ];
        for (container, asked, expected) in rows {
            assert_eq!(found(container, asked).as_deref(), expected, "{container} {asked}");
        }
    }

    #[test]
    fn the_first_network_that_has_the_name_answers() {
        let with = |front: u32, back: u32| {
            let network = |text: &str, rank, address| {
                let asking = Member { rank, ..member("1", &["me"], &[]) };
                let members = vec![asking, member(text, &["app", text], &[address])];
                Network { name: name(text), is_internal: false, members }
            };
            Table::new(vec![network("back", back, "10.1.0.2"), network("front", front, "10.0.0.2")])
        };
        for (front, back, asked, expected) in [
            (0, 1, "app", "10.0.0.2"),
            (1, 0, "app", "10.1.0.2"),
            (0, 0, "app", "10.1.0.2"),
            (1, 0, "front", "10.0.0.2"),
            (1, 0, "app.front", "10.0.0.2"),
        ] {
            let table = with(front, back);
            let expected = Found::Addresses(vec![expected.parse().unwrap()]);
            assert_eq!(table.addresses(&table.view("1"), &name(asked)), expected, "{asked} {front} {back}");
        }
    }

    #[test]
    fn an_address_has_the_first_name_with_that_of_the_network() {
        let table = table();
        let pointer =
            |container: &str, address: &str| match table.pointer(&table.view(container), address.parse().unwrap()) {
                Found::Pointer(name) => Some(name.clone()),
                _ => None,
            };
        assert_eq!(pointer("2", "fd00::1"), Some(name("web.front")));
        assert_eq!(pointer("4", "10.1.0.3"), Some(name("proxy.back")));
        assert_eq!(pointer("4", "10.0.0.3"), None);
    }

    #[test]
    fn one_network_that_reaches_out_is_enough() {
        let reaches = ["1", "3", "4", "unknown"].map(|container| table().view(container).reaches_out);
        assert_eq!(reaches, [true, true, false, false]);
    }
}
