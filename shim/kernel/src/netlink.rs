// SPDX-License-Identifier: Apache-2.0
//! How netlink messages are framed: header, body, attributes. Interpreting the body is up to the reader.
//!
//! ```text
//! length u32 | kind u16 | flags u16 | sequence u32 | port u32 | body, padded to 4       struct nlmsghdr
//! length u16 | kind u16 | value, padded to 4                                          struct nlattr
//! ```
//!
//! All numbers are in native byte order. Nothing here opens a socket or panics on a short message.

/// Length of `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 1;
/// `NLM_F_ACK`: acknowledge a request that gets no other reply.
pub const ACK: u16 = 4;
/// Bit in an attribute's kind that marks nested attributes.
pub const NESTED: u16 = 1 << 15;

/// `NLMSG_ERROR`; error number 0 makes it an acknowledgement.
const ERROR: u16 = 2;
/// `NLMSG_DONE`, the end of a list.
const DONE: u16 = 3;
/// `NLM_F_CAPPED`: the error repeats only the header of the request.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow the error.
const EXTENDED: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`.
const MESSAGE: u16 = 1;
/// `EBADMSG`: used for a final reply without an error number.
const BAD_MESSAGE: i32 = 74;

/// Appends one message.
///
/// - Shapes: `kind` is the protocol's. `flags` are sent as given; [`REQUEST`] is not added.
pub fn push_message(out: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    out.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend(0u32.to_ne_bytes());
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Appends one attribute, padded.
///
/// - Shapes: at most 65,531 bytes of value.
pub fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    debug_assert!(value.len() <= usize::from(u16::MAX) - 4);
    out.extend((4 + value.len() as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Makes one attribute, padded.
pub fn attribute_of(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    push_attribute(&mut bytes, kind, value);
    bytes
}

/// Finds the value of the first attribute of this kind; a malformed attribute ends the search.
pub fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(half(attributes, 0)?);
        let value = attributes.get(4..len)?;
        if half(attributes, 2)? == kind {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
}

/// Reads the `u32` at byte `at`.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

/// Reads the `u16` at byte `at`.
pub fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

/// One message from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its kind: one of the protocol's, or an end marker.
    pub kind: u16,
    /// Its flags: `NLM_F_*`.
    pub flags: u16,
    /// The sequence number of the request that this replies to.
    pub sequence: u32,
    /// The bytes after the header.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The errno with which the request ended, 0 for success; `None` if this is not the final reply.
    pub fn end(&self) -> Option<i32> {
        match self.kind {
            ERROR | DONE => Some(word(self.body, 0).map_or(BAD_MESSAGE, |e| -(e as i32))),
            _ => None,
        }
    }

    /// The kernel's explanation of the errno; empty when it gave none.
    pub fn words(&self) -> &'a str {
        if self.flags & EXTENDED == 0 {
            return "";
        }
        let echoed = if self.flags & CAPPED != 0 { HEADER } else { word(self.body, 4).unwrap_or(0) as usize };
        let attributes = self.body.get((4 + echoed).next_multiple_of(4)..).unwrap_or_default();
        let text = attribute(attributes, MESSAGE).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default().trim_end_matches('\0')
    }
}

/// Iterates over the messages of one datagram; a malformed one ends the iteration.
pub fn answers(datagram: &[u8]) -> Answers<'_> {
    Answers(datagram)
}

/// The messages of one datagram.
#[derive(Debug, Clone)]
pub struct Answers<'a>(&'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let len = word(self.0, 0)? as usize;
        let body = self.0.get(HEADER..len)?;
        let answer = Answer { kind: half(self.0, 4)?, flags: half(self.0, 6)?, sequence: word(self.0, 8)?, body };
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_and_broken_ones_end_the_search() {
        let bytes = [attribute_of(7, b"x"), attribute_of(9, &[1, 2, 3, 4])].concat();
        assert_eq!(bytes, [5, 0, 7, 0, b'x', 0, 0, 0, 8, 0, 9, 0, 1, 2, 3, 4]);
        assert_eq!(attribute(&bytes, 7), Some(&b"x"[..]));
        assert_eq!(attribute(&bytes, 9), Some(&[1, 2, 3, 4][..]));
        assert_eq!(attribute(&bytes, 1), None);
        for broken in [&[0, 0, 9, 0][..], &[3, 0, 9, 0], &[200, 0, 9, 0, 1], &[1]] {
            assert_eq!(attribute(broken, 9), None);
        }
    }

    #[test]
    fn messages_are_walked_and_an_end_tells_its_errno_and_words() {
        let mut datagram = Vec::new();
        push_message(&mut datagram, 20, REQUEST, 1, b"abc");
        push_message(&mut datagram, ERROR, 0, 2, &0i32.to_ne_bytes());
        let mut body = (-13i32).to_ne_bytes().to_vec();
        push_message(&mut body, 20, 0, 3, &[]);
        push_attribute(&mut body, MESSAGE, b"not yours\0");
        push_message(&mut datagram, ERROR, EXTENDED | CAPPED, 3, &body);
        let all: Vec<_> = answers(&datagram).collect();
        assert_eq!((all[0].kind, all[0].body, all[0].end()), (20, &b"abc"[..], None));
        assert_eq!((all[1].end(), all[1].words()), (Some(0), ""));
        assert_eq!((all[2].sequence, all[2].end(), all[2].words()), (3, Some(13), "not yours"));
    }

    #[test]
    fn a_datagram_that_is_cut_off_anywhere_ends_the_walk() {
        let mut datagram = Vec::new();
        push_message(&mut datagram, ERROR, EXTENDED, 3, &[0xff; 40]);
        for length in 0..datagram.len() {
            assert_eq!(answers(&datagram[..length]).count(), 0, "{length}");
        }
        assert_eq!(answers(&datagram).map(|answer| answer.words().len()).sum::<usize>(), 0);
        let empty = Answer { kind: DONE, flags: 0, sequence: 1, body: &[] };
        assert_eq!(empty.end(), Some(BAD_MESSAGE));
    }
}
