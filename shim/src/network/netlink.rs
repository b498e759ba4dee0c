// SPDX-License-Identifier: Apache-2.0
//! One blocking rtnetlink socket: requests out, the kernel's answers in.
//!
//! A socket belongs for ever to the network namespace it was made in, so one process can talk to several. Requests
//! go out in one send; each is acknowledged on its own, and the first one that failed is the error.

use crate::failure::{self, Failure, Result};
use netlink_packet_core::Emitable;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The kernel fills dump answers up to this size.
const ANSWER: usize = 32 << 10;

/// Creates, and fails when it is there already.
pub const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// One thing to ask, and how to call it in an error.
#[derive(Debug)]
pub struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
    step: &'static str,
    object: String,
}

impl Request {
    /// - Shapes: `kind` is an `RTM_*` number, `flags` are added to request and acknowledge.
    pub fn new(kind: u16, flags: u16, body: &impl Emitable, step: &'static str, object: impl Into<String>) -> Self {
        let mut bytes = vec![0; body.buffer_len()];
        body.emit(&mut bytes);
        Self::raw(kind, flags, bytes, step, object)
    }

    /// The same with a body that is encoded already.
    pub fn raw(kind: u16, flags: u16, body: Vec<u8>, step: &'static str, object: impl Into<String>) -> Self {
        Self { kind, flags, body, step, object: object.into() }
    }

    fn emit(&self, sequence: u32, out: &mut Vec<u8>) {
        let flags = self.flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        out.extend(((HEADER + self.body.len()) as u32).to_ne_bytes());
        out.extend(self.kind.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend([0; 4]);
        out.extend(&self.body);
        out.resize(out.len().next_multiple_of(4), 0);
    }

    fn failed(&self, errno: i32, why: &str) -> Failure {
        let mut failure = failure::kernel(self.step, &self.object, std::io::Error::from_raw_os_error(errno));
        if !why.is_empty() {
            failure.message = format!("{} ({})", failure.message, why.to_lowercase());
        }
        failure
    }
}

/// A socket in the namespace that was current when it was opened.
#[derive(Debug)]
pub struct Route {
    socket: Socket,
    sequence: u32,
    answer: Vec<u8>,
}

impl Route {
    /// Opens a socket in the present network namespace.
    pub fn open() -> Result<Self> {
        let fail = |error| failure::kernel("open netlink socket", "route", error);
        let socket = Socket::new(NETLINK_ROUTE).map_err(fail)?;
        // Words for the errno, where the kernel has some; old kernels have none.
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, sequence: 0, answer: Vec::new() })
    }

    /// The socket, for the older ioctls.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends all requests at once and waits for every acknowledgement.
    ///
    /// - Errors: the first request that failed, with the kernel's errno and words. Later ones were tried too.
    pub fn run(&mut self, requests: &[Request]) -> Result<()> {
        self.exchange(requests, |_| {})
    }

    /// Asks for one object or, with `NLM_F_DUMP`, for many; `each` gets the body of every answer.
    pub fn ask(&mut self, request: Request, each: impl FnMut(&[u8])) -> Result<()> {
        self.exchange(&[request], each)
    }

    fn exchange(&mut self, requests: &[Request], mut each: impl FnMut(&[u8])) -> Result<()> {
        let first = self.sequence + 1;
        let mut out = Vec::with_capacity(1024);
        for request in requests {
            self.sequence += 1;
            request.emit(self.sequence, &mut out);
        }
        let Some(last) = requests.last() else { return Ok(()) };
        let broken = |errno: Errno| failure::kernel(last.step, "netlink socket", errno);
        rustix::net::send(&self.socket, &out, SendFlags::empty()).map_err(broken)?;
        self.answer.resize(ANSWER, 0);
        let (mut result, mut open) = (Ok(()), requests.len());
        while open > 0 {
            let (len, _) = match rustix::net::recv(&self.socket, &mut self.answer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                other => other.map_err(broken)?,
            };
            for answer in Answers(&self.answer[..len]) {
                let Some(request) = answer.sequence.checked_sub(first).and_then(|i| requests.get(i as usize)) else {
                    continue;
                };
                match answer.end() {
                    None => each(answer.body),
                    Some(errno) => {
                        open -= 1;
                        if errno != 0 && result.is_ok() {
                            result = Err(request.failed(errno, answer.words()));
                        }
                    }
                }
            }
        }
        result
    }
}

/// Walks the messages of one datagram.
struct Answers<'a>(&'a [u8]);

struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

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

impl Answer<'_> {
    /// The errno with which the request ended, 0 for success; `None` for an answer in between.
    fn end(&self) -> Option<i32> {
        match i32::from(self.kind) {
            libc::NLMSG_ERROR | libc::NLMSG_DONE => Some(word(self.body, 0).map_or(libc::EBADMSG, |e| -(e as i32))),
            _ => None,
        }
    }

    /// What the kernel said beside the errno.
    fn words(&self) -> &str {
        const EXTENDED: u16 = libc::NLM_F_ACK_TLVS as u16;
        const CAPPED: u16 = libc::NLM_F_CAPPED as u16;
        /// NLMSGERR_ATTR_MSG
        const MESSAGE: u16 = 1;
        if self.flags & EXTENDED == 0 {
            return "";
        }
        let echoed = if self.flags & CAPPED != 0 { HEADER } else { word(self.body, 4).unwrap_or(0) as usize };
        let attributes = self.body.get((4 + echoed).next_multiple_of(4)..).unwrap_or_default();
        let text = attribute(attributes, MESSAGE).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default().trim_end_matches('\0')
    }
}

/// The value of the first attribute of this kind.
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

/// The native-endian `u32` at `at`.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_and_broken_ones_end_the_search() {
        let mut bytes = vec![5, 0, 7, 0, b'x', 0, 0, 0];
        bytes.extend([8, 0, 9, 0, 1, 2, 3, 4]);
        assert_eq!(attribute(&bytes, 7), Some(&b"x"[..]));
        assert_eq!(attribute(&bytes, 9), Some(&[1, 2, 3, 4][..]));
        assert_eq!(attribute(&bytes, 1), None);
        for broken in [&[0, 0, 9, 0][..], &[3, 0, 9, 0], &[200, 0, 9, 0, 1], &[1]] {
            assert_eq!(attribute(broken, 9), None);
        }
    }

    #[test]
    fn a_refused_request_says_what_was_asked_and_what_the_kernel_answered() {
        let mut route = Route::open().unwrap();
        let body = vec![0; 16];
        let request = Request::raw(libc::RTM_GETLINK, 0, body, "look up interface", "none");
        let failure = route.run(&[request]).unwrap_err();
        assert!(failure.message.starts_with("look up interface none: "), "{failure:?}");
        assert_ne!(failure.errno, 0);
    }
}
