// SPDX-License-Identifier: Apache-2.0
//! What containers send to their name server, and what the host's servers answer.

use gorae_names::{
    Member, Name, Network, Outside, Query, Random, Records, Reply, Table, Transport, Unusable, Verdict, address_of,
    answer, decide, judge, rcode, refusal, with_id,
};
use std::net::IpAddr;

pub fn check(wire: &[u8]) {
    let (table, limit) = (table(), 512 + wire.len() * 3);
    let view = table.view("c");
    let outside = Outside { is_reached: true, completes_names: false };
    for by in [Transport::Datagram, Transport::Stream] {
        match (decide(&table, &view, outside, (wire, by), &mut Random::default()), Query::read(wire)) {
            (Verdict::Answer(ours), Ok(query)) => answers(&query, wire, &ours),
            (Verdict::Answer(ours), Err(Unusable::Refuse(code))) => assert_eq!(ours, refusal(wire, code)),
            (Verdict::Ignore, Err(Unusable::Ignore)) | (Verdict::Relay, Ok(_)) => {}
            (verdict, query) => panic!("{verdict:?} of {query:?}"),
        }
    }
    if let Ok(query) = Query::read(wire) {
        reads_back(&query);
        let addresses: Vec<IpAddr> = (0..wire.len() as u32).map(|n| n.to_be_bytes().into()).collect();
        let ours = answer(&query, rcode::NOERROR, &Records::Addresses(&addresses), limit);
        assert!(ours.len() <= limit, "it is too long");
        answers(&query, wire, &ours);
    }
    servers_say(wire);
}

/// Ours is an answer to this query, and never a query itself: two of us could talk for ever.
fn answers(query: &Query<'_>, wire: &[u8], ours: &[u8]) {
    assert_eq!(Query::read(ours), Err(Unusable::Ignore));
    assert_eq!(ours[..2], query.id.to_be_bytes());
    assert_ne!(judge(wire, ours), Reply::Foreign, "{query:?}");
    assert_eq!(judge(&with_id(wire, !query.id), ours), Reply::Foreign);
}

fn reads_back(query: &Query<'_>) {
    let name = query.name.as_wire();
    assert_eq!(Name::read(name), Some((query.name.clone(), name.len())));
    assert!(name.eq_ignore_ascii_case(&query.question[..name.len()]));
    assert_eq!(query.name.labels().map(|label| label.len() + 1).sum::<usize>() + 1, name.len());
    let text: Option<Vec<&str>> = query.name.labels().map(|label| str::from_utf8(label).ok()).collect();
    if let Some(Ok(again)) = text.map(|labels| Name::from_text(&labels.join("."))) {
        // A dot inside of a label reads as two labels.
        assert!(again == query.name || query.name.labels().any(|label| label.contains(&b'.')));
    }
    if let Some(address) = address_of(&query.name) {
        assert!(query.name.labels().count() == if address.is_ipv4() { 6 } else { 34 });
    }
}

/// Both parts of the input as a question and what came back.
fn servers_say(wire: &[u8]) {
    let Some((&at, rest)) = wire.split_first() else { return };
    let (asked, said) = rest.split_at(usize::from(at).min(rest.len()));
    if judge(asked, said) != Reply::Foreign {
        assert_eq!(asked[..2], said[..2]);
        assert_eq!(judge(&with_id(asked, 7), &with_id(said, 7)), judge(asked, said));
    }
}

fn table() -> Table {
    let name = |text| Name::from_text(text).expect("a name");
    let addresses = (0..40).map(|n| [10, 0, 0, n].into()).chain([[0, 0, 0, 0, 0, 0, 0, 1].into()]).collect();
    let member = Member { container: "c".into(), names: vec![name("web"), name("app")], addresses, rank: 0 };
    Table::new(vec![Network { name: name("net"), is_internal: false, members: vec![member] }])
}

pub fn seeds() -> Vec<Vec<u8>> {
    let ask = |text: &str, kind: u8| {
        let name = Name::from_text(text).expect("a name");
        [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", name.as_wire(), &[0, kind, 0, 1]].concat()
    };
    let mut seeds = vec![
        ask("web", 1),
        ask("APP.net", 28),
        ask("a.example.org", 15),
        ask("7.0.0.10.in-addr.arpa", 12),
        ask(&format!("1.{}0.ip6.arpa", "0.".repeat(30)), 12),
    ];
    let mut edns = [&ask("web", 1)[..], b"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08abcdefgh"].concat();
    edns[11] = 1;
    let question = ask("a.b", 1);
    let mut said = question.clone();
    said[2] |= 0x80;
    seeds.extend([[&[question.len() as u8][..], &question, &said].concat(), edns]);
    seeds
}
