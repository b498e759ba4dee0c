// SPDX-License-Identifier: Apache-2.0
//! Builds answers: records of addresses or of one name, or none.

use crate::name::Name;
use crate::query::{CHECKING_DISABLED, Query, rcode};
use std::net::IpAddr;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records<'t> {
    /// These addresses, in this order.
    Addresses(&'t [IpAddr]),
    /// The name of an address.
    Pointer(&'t Name),
    /// Nothing.
    None,
}

/// The type of a record with a name.
const PTR: u16 = 12;
const INTERNET: u16 = 1;
/// The name of every record: a pointer to that of the question, right after the header.
const SAME_NAME: [u8; 2] = [0xc0, 0x0c];
/// The longest datagram that we take ourselves, as EDNS says it: what crosses every network unfragmented.
const OWN_SIZE: u16 = 1232;
/// A record of EDNS without options.
const EDNS: usize = 11;

/// The answer to a query, of at most `limit` bytes: what does not fit is left out, and the answer says so. Its records may
/// not be kept by anybody (a time to live of 0), because a container can have another address at any time.
pub fn answer(query: &Query<'_>, code: u8, records: &Records<'_>, limit: usize) -> Vec<u8> {
    let mut message = head(query.id, query.recursion_desired, code);
    // A sender that checks signatures itself gets its flag back (RFC 4035, section 3.2.2).
    message[3] |= if query.checking_disabled { CHECKING_DISABLED } else { 0 };
    message[5] = 1;
    message.extend_from_slice(query.question);
    let limit = limit - if query.edns.is_some() { EDNS } else { 0 };
    let (mut count, mut is_cut) = (0u16, false);
    let mut add = |kind: u16, data: &[u8]| {
        is_cut |= message.len() + 12 + data.len() > limit;
        if !is_cut {
            count += 1;
            record(&mut message, kind, data);
        }
    };
    match records {
        Records::Addresses(addresses) => addresses.iter().for_each(|address| match address {
            IpAddr::V4(v4) => add(1, &v4.octets()),
            IpAddr::V6(v6) => add(28, &v6.octets()),
        }),
        Records::Pointer(name) => add(PTR, name.as_wire()),
        Records::None => {}
    }
    message[6..8].copy_from_slice(&count.to_be_bytes());
    message[2] |= if is_cut { 0x02 } else { 0 };
    if let Some(edns) = query.edns {
        message[11] = 1;
        let signatures = if edns.wants_signatures { 0x80 } else { 0 };
        // A version that we do not know is refused by the part of the code that only EDNS has (16, BADVERS).
        let code = u8::from(edns.version > 0);
        let [high, low] = OWN_SIZE.to_be_bytes();
        message.extend_from_slice(&[0, 0, 41, high, low, code, 0, signatures, 0, 0, 0]);
    }
    message
}

/// The answer to a message that is not a question: its header with a code. It has to have a header.
pub fn refusal(message: &[u8], code: u8) -> Vec<u8> {
    let word = |at: usize| message.get(at).copied().unwrap_or(0);
    let mut head = head(u16::from_be_bytes([word(0), word(1)]), word(2) & 1 != 0, code);
    // What was asked to be done: a query, or something that we do not do.
    head[2] |= word(2) & 0x78;
    head[3] |= word(3) & CHECKING_DISABLED;
    head
}

/// A header: an answer, recursion available.
fn head(id: u16, recursion_desired: bool, code: u8) -> Vec<u8> {
    let mut head = vec![0; 12];
    head[..2].copy_from_slice(&id.to_be_bytes());
    head[2] = 0x80 | u8::from(recursion_desired);
    head[3] = 0x80 | (code & 0x0f);
    head
}

fn record(message: &mut Vec<u8>, kind: u16, data: &[u8]) {
    message.extend_from_slice(&SAME_NAME);
    for word in [kind, INTERNET, 0, 0, data.len() as u16] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(data);
}

/// That nothing could be found out.
pub(crate) fn failure(query: &Query<'_>) -> Vec<u8> {
    answer(query, rcode::SERVFAIL, &Records::None, usize::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_the_question_and_has_its_records() {
        let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\0\0\x01\0\x01";
        let query = Query::read(question).unwrap();
        let got = answer(&query, 0, &Records::Addresses(&["10.1.2.3".parse().unwrap()]), 512);
        let expected = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01A\0\0\x01\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x0a\x01\x02\x03";
        assert_eq!(got, expected);
        let mut checks_itself = *question;
        checks_itself[3] = 0x10;
        let got = answer(&Query::read(&checks_itself).unwrap(), 3, &Records::None, 512);
        assert_eq!(got[2..4], [0x81, 0x93]);
        assert_eq!(refusal(&checks_itself, rcode::FORMERR)[2..4], [0x81, 0x91]);
        let name = Name::from_text("a.b").unwrap();
        let got = answer(&query, 0, &Records::Pointer(&name), 512);
        assert_eq!(&got[19..], b"\xc0\x0c\0\x0c\0\x01\0\0\0\0\0\x05\x01a\x01b\0");
        assert_eq!(refusal(question, rcode::FORMERR), b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_answer_says_so() {
        let question = b"\0\0\0\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\0\0\x29\x02\0\0\0\0\0\0\0";
        let query = Query::read(question).unwrap();
        let addresses: Vec<IpAddr> = (0..31).map(|n| [10, 0, 0, n].into()).collect();
        // 19 bytes, 11 of EDNS, and 16 for each address.
        let whole = answer(&query, 0, &Records::Addresses(&addresses[..30]), 512);
        assert_eq!((whole.len(), whole[2], whole[7]), (510, 0x80, 30));
        let cut = answer(&query, 0, &Records::Addresses(&addresses), 512);
        assert_eq!((cut.len(), cut[2], cut[7]), (510, 0x82, 30));
    }
}
