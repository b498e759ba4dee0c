// SPDX-License-Identifier: Apache-2.0
//! A client's message: its header, its question, and what it says about itself (EDNS). Nothing else of it is looked at.

use crate::name::Name;

/// The length of a message's header.
const HEADER: usize = 12;
/// The longest question: the longest name makes one of 300 bytes, and the rest is for EDNS. A thousand may be kept.
pub(crate) const MAX_QUERY: usize = 4096;
/// The most records after the question: EDNS, and a signature.
const MAX_ADDITIONAL: u16 = 4;
/// The type of the record that EDNS is (RFC 6891).
const OPT: u16 = 41;

/// The flag of a sender that checks signatures itself, in the fourth byte of the header.
pub(crate) const CHECKING_DISABLED: u8 = 0x10;

/// The codes that an answer ends with.
#[allow(missing_docs)]
pub mod rcode {
    pub const NOERROR: u8 = 0;
    pub const FORMERR: u8 = 1;
    pub const SERVFAIL: u8 = 2;
    pub const NXDOMAIN: u8 = 3;
    pub const NOTIMP: u8 = 4;
    pub const REFUSED: u8 = 5;
}

/// A question with what an answer has to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'m> {
    /// The sender's number of it.
    pub id: u16,
    /// The name in question.
    pub name: Name,
    /// The type of record in question.
    pub kind: u16,
    /// The class in question; that of the Internet is 1.
    pub class: u16,
    /// The question's bytes, with the name as it was written.
    pub question: &'m [u8],
    /// Whether recursion is desired: repeated in the answer.
    pub recursion_desired: bool,
    /// Whether the sender checks signatures itself: repeated in the answer.
    pub checking_disabled: bool,
    /// The sender's EDNS.
    pub edns: Option<Edns>,
}

/// What a sender says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The longest datagram that it can take.
    pub size: u16,
    /// The version; only 0 is defined.
    pub version: u8,
    /// Whether it wants signatures: repeated in the answer.
    pub wants_signatures: bool,
}

/// Why a message is not a question that can be dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Not a question at all. An answer could begin a loop.
    Ignore,
    /// The sender gets this code.
    Refuse(u8),
}

impl<'m> Query<'m> {
    /// Reads a message.
    ///
    /// # Errors
    /// What becomes of one that is not exactly a question.
    pub fn read(message: &'m [u8]) -> Result<Self, Unusable> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(Unusable::Ignore)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let is_answer = header[2] & 0x80 != 0;
        if is_answer {
            return Err(Unusable::Ignore);
        }
        if header[2] & 0x78 != 0 {
            return Err(Unusable::Refuse(rcode::NOTIMP));
        }
        let is_long = message.len() > MAX_QUERY || word(10) > MAX_ADDITIONAL;
        if is_long || (word(4), word(6), word(8)) != (1, 0, 0) {
            return Err(Unusable::Refuse(rcode::FORMERR));
        }
        body(message, header, word(10)).ok_or(Unusable::Refuse(rcode::FORMERR))
    }
}

fn body<'m>(message: &'m [u8], header: &[u8; HEADER], additional: u16) -> Option<Query<'m>> {
    let (id, recursion_desired) = (u16::from_be_bytes([header[0], header[1]]), header[2] & 1 != 0);
    let checking_disabled = header[3] & CHECKING_DISABLED != 0;
    let (name, length) = Name::read(&message[HEADER..])?;
    let end = HEADER + length + 4;
    let question = message.get(HEADER..end)?;
    let [.., k1, k2, c1, c2] = question else { return None };
    let (kind, class) = (u16::from_be_bytes([*k1, *k2]), u16::from_be_bytes([*c1, *c2]));
    let edns = edns(&message[end..], additional)?;
    Some(Query { id, name, kind, class, question, recursion_desired, checking_disabled, edns })
}

/// The EDNS among the records after the question, which must be whole and nothing must follow them.
fn edns(mut rest: &[u8], count: u16) -> Option<Option<Edns>> {
    let mut edns = None;
    for _ in 0..count {
        let (name, length) = Name::read(rest)?;
        let fields: &[u8; 10] = rest[length..].first_chunk()?;
        if u16::from_be_bytes([fields[0], fields[1]]) == OPT {
            if edns.is_some() || name.as_wire() != [0] {
                return None;
            }
            let size = u16::from_be_bytes([fields[2], fields[3]]);
            edns = Some(Edns { size, version: fields[5], wants_signatures: fields[6] & 0x80 != 0 });
        }
        let data = usize::from(u16::from_be_bytes([fields[8], fields[9]]));
        rest = rest.get(length + fields.len() + data..)?;
    }
    rest.is_empty().then_some(edns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for the address of `a`, with recursion desired.
    const A: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\0\0\x01\0\x01";
    /// An EDNS record with a size of 1232, an option of two bytes, and signatures wanted.
    const EDNS: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\x02xx";

    fn with(change: &[(usize, u8)], more: &[u8]) -> Vec<u8> {
        let mut message = [A, more].concat();
        for (at, byte) in change {
            message[*at] = *byte;
        }
        message
    }

    #[test]
    fn a_question_is_read_with_the_size_that_its_sender_takes() {
        let plain = Query::read(A).unwrap();
        assert_eq!((plain.id, plain.kind, plain.class, plain.recursion_desired), (0x1234, 1, 1, true));
        assert_eq!((plain.name, plain.question, plain.edns), (Name::from_text("a").unwrap(), &A[12..], None));
        let message = with(&[(11, 1)], EDNS);
        let edns = Edns { size: 1232, version: 0, wants_signatures: true };
        assert_eq!(Query::read(&message).unwrap().edns, Some(edns));
    }

    #[test]
    fn what_is_not_exactly_a_question_is_refused_or_ignored() {
        let rows = [
            (vec![0; 11], Unusable::Ignore),
            (with(&[(2, 0x81)], b""), Unusable::Ignore),
            (with(&[(2, 0x29)], b""), Unusable::Refuse(rcode::NOTIMP)),
            (with(&[(5, 0)], b""), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(5, 2)], b""), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(7, 1)], b""), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(9, 1)], b""), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(11, 1)], b""), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(11, 9)], &EDNS.repeat(9)), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(11, 2)], &EDNS.repeat(2)), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(11, 1)], &EDNS[..EDNS.len() - 1]), Unusable::Refuse(rcode::FORMERR)),
            (
                with(&[(11, 1)], &[b"\0\0\x29\x04\xd0\0\0\0\0\x10\0", &[0; 4096][..]].concat()),
                Unusable::Refuse(rcode::FORMERR),
            ),
            (with(&[], b"x"), Unusable::Refuse(rcode::FORMERR)),
            (A[..A.len() - 1].to_vec(), Unusable::Refuse(rcode::FORMERR)),
            (with(&[(12, 0xc0)], b""), Unusable::Refuse(rcode::FORMERR)),
        ];
        for (message, why) in rows {
            assert_eq!(Query::read(&message), Err(why), "{message:?}");
        }
    }
}
