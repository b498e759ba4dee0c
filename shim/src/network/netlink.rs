// SPDX-License-Identifier: Apache-2.0
//! One blocking rtnetlink socket, which sends requests and reads the kernel's responses.
//!
//! A socket always belongs to the network namespace it was created in, so one process can talk to several. Requests
//! go out in one send; each is acknowledged separately, and the first failure is returned.

use crate::failure::{self, Failure, Result};
use gorae_kernel::netlink::{self, ACK, REQUEST};
use netlink_packet_core::Emitable;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// The largest dump response that the kernel sends at once, in bytes.
const ANSWER: usize = 32 << 10;

/// Flags to create an object, failing if it already exists.
pub const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// One request, and how an error describes it.
#[derive(Debug)]
pub struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
    step: &'static str,
    object: String,
}

impl Request {
    /// A request with this body.
    ///
    /// - Shapes: `kind` is an `RTM_*` number; `flags` are added to `NLM_F_REQUEST` and `NLM_F_ACK`.
    pub fn new(kind: u16, flags: u16, body: &impl Emitable, step: &'static str, object: impl Into<String>) -> Self {
        let mut bytes = vec![0; body.buffer_len()];
        body.emit(&mut bytes);
        Self::raw(kind, flags, bytes, step, object)
    }

    /// The same, with an encoded body.
    pub fn raw(kind: u16, flags: u16, body: Vec<u8>, step: &'static str, object: impl Into<String>) -> Self {
        Self { kind, flags, body, step, object: object.into() }
    }

    fn emit(&self, sequence: u32, out: &mut Vec<u8>) {
        netlink::push_message(out, self.kind, self.flags | REQUEST | ACK, sequence, &self.body);
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
    /// Opens a socket in the current network namespace.
    pub fn open() -> Result<Self> {
        let fail = |error| failure::kernel("open netlink socket", "route", error);
        let socket = Socket::new(NETLINK_ROUTE).map_err(fail)?;
        // Asks for a message in addition to the errno. Old kernels do not support that.
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, sequence: 0, answer: Vec::new() })
    }

    /// The socket, for the older ioctls.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends all requests at once and waits for every acknowledgement.
    ///
    /// # Errors
    /// The first request that failed, with the kernel's errno and message. The later ones were still executed.
    pub fn run(&mut self, requests: &[Request]) -> Result<()> {
        self.exchange(requests, |_| {})
    }

    /// Queries one object or, with `NLM_F_DUMP`, many. `each` gets the body of every response.
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
            for answer in netlink::answers(&self.answer[..len]) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
