// SPDX-License-Identifier: Apache-2.0
//! Whether a message of a server is the answer to a question that it was asked.

use crate::query::{Query, rcode};

/// What a server's message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Good,
    /// The server cannot or will not answer; another one may.
    Failed,
    /// Not an answer to this question, so not from whom it was asked.
    Foreign,
}

/// Compares a message with the question as it was sent. Its records are not looked at.
pub fn judge(asked: &[u8], message: &[u8]) -> Reply {
    let (Ok(query), Some(header)) = (Query::read(asked), message.first_chunk::<12>()) else { return Reply::Foreign };
    let is_answer = header[2] & 0x80 != 0;
    if asked[..2] != header[..2] || !is_answer || (asked[2] ^ header[2]) & 0x78 != 0 {
        return Reply::Foreign;
    }
    let code = header[3] & 0x0f;
    let fails = matches!(code, rcode::SERVFAIL | rcode::NOTIMP | rcode::REFUSED);
    let question = &message[12..];
    match (u16::from_be_bytes([header[4], header[5]]), question.get(..query.question.len())) {
        // The case of letters may have changed on the way.
        (1, Some(repeated)) if repeated.eq_ignore_ascii_case(query.question) => {
            if fails {
                Reply::Failed
            } else {
                Reply::Good
            }
        }
        // Some servers leave the question out when they refuse it.
        (0, _) if fails => Reply::Failed,
        // Or when they cannot read it, as those that are older than EDNS. The client knows what to do then: ask without.
        (0, _) if code == rcode::FORMERR => Reply::Good,
        _ => Reply::Foreign,
    }
}

/// The same message with another number.
pub fn with_id(message: &[u8], id: u16) -> Vec<u8> {
    let mut message = message.to_vec();
    if let Some(place) = message.first_chunk_mut() {
        *place = id.to_be_bytes();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";

    #[test]
    fn only_the_answer_to_the_question_is_one() {
        let answer = |change: &[(usize, u8)]| {
            let mut message = ASKED.to_vec();
            message[2] |= 0x80;
            for (at, byte) in change {
                message[*at] = *byte;
            }
            message
        };
        let rows = [
            (answer(&[]), Reply::Good),
            (answer(&[(13, b'A')]), Reply::Good),
            (answer(&[(3, 0x83)]), Reply::Good),
            (answer(&[(3, 2)]), Reply::Failed),
            (answer(&[(3, 5)]), Reply::Failed),
            (answer(&[(3, 4)]), Reply::Failed),
            (answer(&[(3, 1)]), Reply::Good),
            (answer(&[(3, 1), (5, 0)])[..12].to_vec(), Reply::Good),
            (answer(&[(3, 4), (5, 0)])[..12].to_vec(), Reply::Failed),
            (answer(&[(0, 0), (3, 1), (5, 0)])[..12].to_vec(), Reply::Foreign),
            (answer(&[(3, 3), (5, 0)])[..12].to_vec(), Reply::Foreign),
            (answer(&[(3, 5), (5, 0)])[..12].to_vec(), Reply::Failed),
            (answer(&[(5, 0)])[..12].to_vec(), Reply::Foreign),
            (answer(&[(5, 2)]), Reply::Foreign),
            (answer(&[(0, 0)]), Reply::Foreign),
            (answer(&[(13, b'b')]), Reply::Foreign),
            (answer(&[(16, 28)]), Reply::Foreign),
            (answer(&[(2, 0xa1)]), Reply::Foreign),
            (ASKED.to_vec(), Reply::Foreign),
            (answer(&[])[..18].to_vec(), Reply::Foreign),
            (Vec::new(), Reply::Foreign),
        ];
        for (message, expected) in rows {
            assert_eq!(judge(ASKED, &message), expected, "{message:?}");
        }
        assert_eq!(judge(&with_id(ASKED, 9), &with_id(&answer(&[]), 9)), Reply::Good);
    }
}
