// SPDX-License-Identifier: Apache-2.0
//! What becomes of a client's message: an answer from the table, or a question to servers outside.

use crate::answer::{Records, answer, failure, refusal};
use crate::query::{Query, Unusable, rcode};
use crate::random::Random;
use crate::reverse::address_of;
use crate::table::{Found, Table, View};

const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;
/// What every client can take in a datagram.
const LEAST_DATAGRAM: u16 = 512;
/// What the kernel can send in one.
const MOST_DATAGRAM: u16 = 65_507;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram: the answer has to fit into what the client says that it can take.
    Datagram,
    /// On a connection.
    Stream,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Ignore,
    /// Send this back.
    Answer(Vec<u8>),
    /// Ask a server outside.
    Relay,
}

/// What can be asked of servers for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    /// Anything: one of its networks reaches out, or its servers are in them.
    pub is_reached: bool,
    /// The address of a name without a dot, which can mean something there.
    pub completes_names: bool,
}

/// Decides about one message.
pub fn decide(
    table: &Table,
    view: &View,
    outside: Outside,
    (message, by): (&[u8], Transport),
    random: &mut Random,
) -> Verdict {
    let query = match Query::read(message) {
        Ok(query) => query,
        Err(Unusable::Ignore) => return Verdict::Ignore,
        Err(Unusable::Refuse(code)) => return Verdict::Answer(refusal(message, code)),
    };
    let limit = limit(&query, by);
    let say = |records: &Records<'_>| Verdict::Answer(answer(&query, rcode::NOERROR, records, limit));
    match look_up(table, view, &query) {
        // A version that we do not know: the answer says so, and has nothing else.
        Found::Addresses(_) | Found::Pointer(_) if query.edns.is_some_and(|edns| edns.version > 0) => {
            say(&Records::None)
        }
        Found::Addresses(mut list) => {
            // The other family and other types are empty: that the name did not exist would be a lie, and end the
            // look-up of the family that is there.
            list.retain(|address| query.kind == if address.is_ipv4() { A } else { AAAA });
            random.shuffle(&mut list);
            say(&Records::Addresses(&list))
        }
        Found::Pointer(name) if query.kind == PTR => say(&Records::Pointer(name)),
        Found::Pointer(_) => say(&Records::None),
        Found::Unknown if seeks_host(&query) && !outside.completes_names => {
            Verdict::Answer(answer(&query, rcode::NXDOMAIN, &Records::None, limit))
        }
        // As Docker: whether the name exists is not known here.
        Found::Unknown if !outside.is_reached => Verdict::Answer(failure(&query)),
        Found::Unknown => Verdict::Relay,
    }
}

fn look_up<'t>(table: &'t Table, view: &View, query: &Query<'_>) -> Found<'t> {
    if query.class != INTERNET {
        return Found::Unknown;
    }
    match address_of(&query.name) {
        Some(address) => table.pointer(view, address),
        None => table.addresses(view, &query.name),
    }
}

/// Whether a program looks for the addresses of a name without a dot. It is not asked outside then: that would tell
/// strangers of a name of this node, and the answer could be that of a name that they have. Other types are about domains
/// such as `com`, which a resolver in a container asks for to check signatures; nobody looks up a container with them.
fn seeks_host(query: &Query<'_>) -> bool {
    query.class == INTERNET && matches!(query.kind, A | AAAA) && query.name.labels().count() == 1
}

fn limit(query: &Query<'_>, by: Transport) -> usize {
    match by {
        Transport::Stream => usize::from(u16::MAX),
        Transport::Datagram => {
            query.edns.map_or(LEAST_DATAGRAM, |edns| edns.size.clamp(LEAST_DATAGRAM, MOST_DATAGRAM)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use crate::table::{Member, Network};
    use std::net::IpAddr;

    fn table(is_internal: bool) -> Table {
        let name = |text: &str| Name::from_text(text).unwrap();
        let addresses: Vec<IpAddr> = (0..40).map(|n| [10, 0, 0, n].into()).collect();
        let member = Member { container: "c".into(), names: vec![name("web")], addresses, rank: 0 };
        Table::new(vec![Network { name: name("net"), is_internal, members: vec![member] }])
    }

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let name = Name::from_text(name).unwrap();
        [b"\0\x07\x01\0\0\x01\0\0\0\0\0\0", name.as_wire(), &[0, kind, 0, 1]].concat()
    }

    /// The code and the number of records of the answer; `None` for a relay.
    fn asked(is_internal: bool, relays_single: bool, name: &str, kind: u8, by: Transport) -> Option<(u8, u8)> {
        let (table, message) = (table(is_internal), question(name, kind));
        let mut random = Random::default();
        let view = table.view("c");
        let outside = Outside { is_reached: view.reaches_out, completes_names: relays_single };
        match decide(&table, &view, outside, (&message, by), &mut random) {
            Verdict::Answer(answer) => Some((answer[3] & 15, answer[7])),
            Verdict::Relay => None,
            Verdict::Ignore => panic!("{name} is ignored"),
        }
    }

    #[test]
    fn known_names_are_answered_and_unknown_ones_relayed_where_they_may() {
        use Transport::{Datagram, Stream};
        let rows = [
            ("web", 1, Datagram, Some((rcode::NOERROR, 30))),
            ("web", 1, Stream, Some((rcode::NOERROR, 40))),
            ("web.net", 28, Datagram, Some((rcode::NOERROR, 0))),
            ("web", 15, Datagram, Some((rcode::NOERROR, 0))),
            ("7.0.0.10.in-addr.arpa", 12, Datagram, Some((rcode::NOERROR, 1))),
            ("7.0.0.10.in-addr.arpa", 1, Datagram, Some((rcode::NOERROR, 0))),
            ("web2", 1, Datagram, Some((rcode::NXDOMAIN, 0))),
            ("web2", 28, Datagram, Some((rcode::NXDOMAIN, 0))),
            // NS, DS, DNSKEY, and any type.
            ("com", 2, Datagram, None),
            ("com", 43, Datagram, None),
            ("com", 48, Stream, None),
            ("com", 255, Datagram, None),
            ("web.example", 1, Datagram, None),
            ("99.0.0.10.in-addr.arpa", 12, Datagram, None),
        ];
        for (name, kind, by, expected) in rows {
            assert_eq!(asked(false, false, name, kind, by), expected, "{name} {kind}");
        }
        assert_eq!(asked(false, true, "web2", 1, Datagram), None);
        assert_eq!(asked(true, false, "com", 2, Datagram), Some((rcode::SERVFAIL, 0)));
        assert_eq!(asked(true, false, "web.example", 1, Datagram), Some((rcode::SERVFAIL, 0)));
        assert_eq!(asked(true, false, "web", 28, Datagram), Some((rcode::NOERROR, 0)));
    }

    #[test]
    fn a_message_that_is_not_a_question_gets_no_answer_or_a_refusal() {
        let mut random = Random::default();
        let mut verdict = |message: &[u8]| {
            let outside = Outside { is_reached: true, completes_names: true };
            decide(&Table::default(), &View::default(), outside, (message, Transport::Stream), &mut random)
        };
        assert_eq!(verdict(b"short"), Verdict::Ignore);
        let mut message = question("a.b", 1);
        message.push(0);
        assert_eq!(verdict(&message), Verdict::Answer(refusal(&message, rcode::FORMERR)));
    }
}
