// SPDX-License-Identifier: Apache-2.0
//! Our messages and those of another implementation (hickory) mean the same.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gorae_names::{Edns, Query, Random, Records, Unusable, answer, rcode, refusal};
use hickory_proto::op::{self, Message, MessageType, OpCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::IpAddr;

/// What another program asks, in bytes.
fn asked(id: u16, name: &Name, kind: RecordType, edns: Option<(u16, bool)>) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(op::Query::query(name.clone(), kind));
    if let Some((size, signatures)) = edns {
        let mut edns = op::Edns::new();
        edns.set_max_payload(size).set_dnssec_ok(signatures);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

/// A name of random labels.
fn name(random: &mut Random) -> Name {
    let labels: Vec<Vec<u8>> = (0..random.word() % 6)
        .map(|_| (0..1 + random.word() % 30).map(|_| b'0' + (random.word() % 75) as u8).collect())
        .collect();
    Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap()
}

#[test]
fn a_question_of_another_program_is_read_as_it_was_meant() {
    let mut random = Random::default();
    for round in 0..2_000 {
        let (name, id) = (name(&mut random), random.word());
        let kind = [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::PTR][round % 4];
        let edns = (round % 3 == 0).then(|| (random.word().max(512), round % 2 == 0));
        let bytes = asked(id, &name, kind, edns);
        let query = Query::read(&bytes).unwrap();
        assert_eq!((query.id, query.kind, query.class), (id, kind.into(), 1));
        let labels = name.iter().map(<[u8]>::to_ascii_lowercase);
        assert!(query.name.labels().map(<[u8]>::to_vec).eq(labels), "{name}");
        let expected = edns.map(|(size, wants_signatures)| Edns { size, version: 0, wants_signatures });
        assert_eq!(query.edns, expected);
    }
}

#[test]
fn another_program_reads_our_answers_as_they_are_meant() {
    let mut random = Random::default();
    for round in 0..2_000u32 {
        let (name, id) = (name(&mut random), random.word());
        let edns = (round % 2 == 0).then_some((1232, round % 3 == 0));
        let bytes = asked(id, &name, RecordType::A, edns);
        let query = Query::read(&bytes).unwrap();
        let addresses: Vec<IpAddr> = (0..round % 60).map(|n| [10, 9, n as u8, 1].into()).collect();
        let limit = if edns.is_some() { 1232 } else { 512 };
        let ours = answer(&query, rcode::NOERROR, &Records::Addresses(&addresses), limit);
        assert!(ours.len() <= limit);
        let read = Message::from_vec(&ours).unwrap();
        let head = &read.metadata;
        assert_eq!((head.id, head.message_type, u16::from(head.response_code)), (id, MessageType::Response, 0));
        assert!(head.recursion_desired && head.recursion_available && !head.authoritative);
        assert_eq!(read.queries, [op::Query::query(name.clone(), RecordType::A)]);
        let got: Vec<IpAddr> = read.answers.iter().map(|record| record.data.ip_addr().unwrap()).collect();
        assert_eq!((&got[..], head.truncation), (&addresses[..got.len()], got.len() < addresses.len()));
        assert!(read.answers.iter().all(|record| record.ttl == 0 && record.name == name));
        assert_eq!(read.edns.map(|edns| edns.flags().dnssec_ok), edns.map(|(_, signatures)| signatures));
    }
}

#[test]
fn a_pointer_and_a_refusal_are_read_as_they_are_meant() {
    let bytes = asked(7, &Name::from_ascii("4.3.2.10.in-addr.arpa.").unwrap(), RecordType::PTR, None);
    let target = gorae_names::Name::from_text("web.my_net").unwrap();
    let ours = answer(&Query::read(&bytes).unwrap(), rcode::NOERROR, &Records::Pointer(&target), 512);
    let read = Message::from_vec(&ours).unwrap();
    let RData::PTR(pointer) = &read.answers[0].data else { panic!("{read:?}") };
    assert_eq!(pointer.0.to_ascii(), "web.my_net.");
    let mut inverse = bytes;
    inverse[2] |= 0x10; // STATUS
    assert_eq!(Query::read(&inverse), Err(Unusable::Refuse(rcode::NOTIMP)));
    let read = Message::from_vec(&refusal(&inverse, rcode::NOTIMP)).unwrap();
    assert_eq!((u16::from(read.metadata.response_code), read.metadata.op_code), (4, OpCode::Status));
}
