// SPDX-License-Identifier: Apache-2.0
//! The elements of a host port in the table's maps and sets, as nft reads them. Pure.

use crate::binding::{Binding, Place};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

/// The lines that add (`add`) the elements of each binding to a table, or remove them (`delete`).
pub fn text(table: &str, verb: &str, bindings: &[Binding]) -> String {
    let mut text = String::new();
    for binding in bindings {
        let (map, key) = key(binding);
        let value = if verb == "add" { value(binding) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verb} element inet {table} {map} {{ {key}{value} }}");
    }
    // One port on two addresses of the node has one of these.
    for (set, clients) in bindings.iter().map(beside).collect::<BTreeSet<_>>() {
        let _ = writeln!(text, "{verb} element inet {table} {set} {{ {clients} }}");
    }
    text
}

/// The map of a binding and the key of its element.
fn key(binding: &Binding) -> (&'static str, String) {
    let Place { protocol, at, port } = binding.place;
    match (at, at.is_unspecified()) {
        (IpAddr::V4(_), true) => ("ports4", format!("{protocol} . {port}")),
        (IpAddr::V6(_), true) => ("ports6", format!("{protocol} . {port}")),
        (IpAddr::V4(_), false) => ("ports4_at", format!("{at} . {protocol} . {port}")),
        (IpAddr::V6(_), false) => ("ports6_at", format!("{at} . {protocol} . {port}")),
    }
}

fn value(binding: &Binding) -> String {
    format!(" : {} . {}", binding.to.ip(), binding.to.port())
}

/// The set of a binding and its element.
fn beside(binding: &Binding) -> (&'static str, String) {
    let set = if binding.to.is_ipv4() { "beside4" } else { "beside6" };
    let (protocol, port) = (binding.place.protocol, binding.place.port);
    (set, format!("{} . {} . {protocol} . {port}", binding.beside, binding.to.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::Protocol;

    fn binding(at: &str, to: &str) -> Binding {
        let place = Place { protocol: Protocol::Udp, at: at.parse().expect("address"), port: 53 };
        Binding::new(place, to.parse().expect("address"))
    }

    #[test]
    fn one_host_port_is_one_element_of_a_map_and_one_of_a_set() {
        let any = [Binding { beside: "10.64.0.0/20".parse().expect("net"), ..binding("0.0.0.0", "10.64.0.2:5353") }];
        assert_eq!(
            text("gorae-1a2b3c", "add", &any),
            "add element inet gorae-1a2b3c ports4 { udp . 53 : 10.64.0.2 . 5353 }\n\
             add element inet gorae-1a2b3c beside4 { 10.64.0.0/20 . 10.64.0.2 . udp . 53 }\n"
        );
        assert!(
            text("gorae-1a2b3c", "delete", &any).starts_with("delete element inet gorae-1a2b3c ports4 { udp . 53 }\n")
        );
        let at = [binding("fd00::1", "[fd01::2]:5353")];
        assert_eq!(
            text("gorae-1a2b3c", "add", &at),
            "add element inet gorae-1a2b3c ports6_at { fd00::1 . udp . 53 : fd01::2 . 5353 }\n\
             add element inet gorae-1a2b3c beside6 { fd01::2/128 . fd01::2 . udp . 53 }\n"
        );
    }

    #[test]
    fn one_port_on_two_addresses_of_the_node_has_one_element_for_its_clients() {
        let two = ["127.0.0.1", "192.0.2.2"].map(|at| binding(at, "10.64.0.2:80"));
        let text = text("t", "delete", &two);
        assert_eq!((text.matches("ports4_at").count(), text.matches("beside4").count()), (2, 1), "{text}");
    }
}
