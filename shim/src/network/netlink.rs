// SPDX-License-Identifier: Apache-2.0
//! One blocking rtnetlink socket, which sends requests and reads the kernel's responses.
//!
//! A socket always belongs to the network namespace it was created in, so one process can talk to several. Requests
//! go out in one send; each is acknowledged separately, and the first failure is returned.

use crate::failure::{self, Failure, Result};
use crate::sys;
use gorae_kernel::netlink::{self, ACK, Answer, REQUEST};
use gorae_kernel::netlink_socket::{Family, NetlinkSocket};
use netlink_packet_core::Emitable;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How long the kernel may take for one reply. The pod is locked meanwhile, in the daemon as well.
const DEADLINE: Duration = Duration::from_secs(10);

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
    socket: NetlinkSocket,
    sequence: u32,
}

impl Route {
    /// Opens a socket in the current network namespace.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn open() -> Result<Self> {
        let socket = NetlinkSocket::open(Family::Route, DEADLINE)
            .map_err(|error| failure::kernel("open netlink socket", "route", error))?;
        // Without it, on an old kernel, failures have an errno and no explanation.
        let _ = sys::ask_for_reasons(socket.as_fd());
        Ok(Self { socket, sequence: 0 })
    }

    /// The socket, for the older ioctls.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends all requests at once and waits for every acknowledgement.
    ///
    /// # Errors
    /// The first request that failed, with the kernel's errno and message. The later ones were still executed.
    /// `DeadlineExceeded` when the kernel does not reply.
    pub fn run(&mut self, requests: &[Request]) -> Result<()> {
        self.exchange(requests, |_| {})
    }

    /// Queries one object or, with `NLM_F_DUMP`, many. `each` gets the body of every response.
    ///
    /// # Errors
    /// The kernel's errno and message; `DeadlineExceeded` when it does not reply.
    pub fn ask(&mut self, request: Request, each: impl FnMut(&[u8])) -> Result<()> {
        self.exchange(&[request], each)
    }

    fn exchange(&mut self, requests: &[Request], mut each: impl FnMut(&[u8])) -> Result<()> {
        let Some(last) = requests.last() else { return Ok(()) };
        let broken = |error: io::Error| failure::kernel(last.step, "netlink socket", in_time(error));
        let mut open = self.send(requests).map_err(broken)?;
        while open.left > 0 {
            let datagram = self.socket.receive().map_err(broken)?;
            netlink::answers(&datagram).for_each(|answer| open.take(answer, &mut each));
        }
        open.result
    }

    fn send<'a>(&mut self, requests: &'a [Request]) -> io::Result<Exchange<'a>> {
        let first = self.sequence + 1;
        let mut out = Vec::with_capacity(1024);
        for request in requests {
            self.sequence += 1;
            request.emit(self.sequence, &mut out);
        }
        self.socket.send(&out)?;
        Ok(Exchange { requests, first, left: requests.len(), result: Ok(()) })
    }
}

/// Requests that were sent, and what the kernel has replied so far.
struct Exchange<'a> {
    requests: &'a [Request],
    /// The sequence number of the first request.
    first: u32,
    /// How many requests have no final reply yet.
    left: usize,
    result: Result<()>,
}

impl Exchange<'_> {
    /// Takes in one reply. One to an earlier exchange, which was given up, is skipped.
    fn take(&mut self, answer: Answer<'_>, each: &mut impl FnMut(&[u8])) {
        let place = answer.sequence.checked_sub(self.first);
        let Some(request) = place.and_then(|place| self.requests.get(place as usize)) else { return };
        let Some(errno) = answer.end() else { return each(answer.body) };
        self.left -= 1;
        if errno != 0 && self.result.is_ok() {
            self.result = Err(request.failed(errno, answer.words()));
        }
    }
}

/// Names a reply that did not come in time as what it is: the socket reports "try again".
fn in_time(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { Errno::TIMEDOUT.into() } else { error }
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

    #[test]
    fn a_reply_that_does_not_come_is_a_deadline_that_passed() {
        let socket = NetlinkSocket::open(Family::Route, Duration::from_millis(20)).unwrap();
        let silence = failure::kernel("list", "netlink socket", in_time(socket.receive().unwrap_err()));
        assert_eq!(silence.kind(), failure::Kind::DeadlineExceeded);
    }

    #[test]
    fn a_late_reply_to_an_earlier_request_is_skipped_and_the_first_failure_counts() {
        let requests = ["a", "b"].map(|object| Request::raw(0, 0, vec![], "add", object));
        let mut open = Exchange { requests: &requests, first: 7, left: 2, result: Ok(()) };
        let mut bodies = Vec::new();
        let error = |errno: i32| (-errno).to_ne_bytes();
        let replies = [(6, 2, error(1)), (7, 20, *b"body"), (8, 2, error(libc::EPERM)), (7, 2, error(libc::EEXIST))];
        for (sequence, kind, body) in &replies {
            let answer = Answer { kind: *kind, flags: 0, sequence: *sequence, body };
            open.take(answer, &mut |body: &[u8]| bodies.push(body.to_vec()));
        }
        assert_eq!((open.left, bodies), (0, vec![b"body".to_vec()]));
        assert_eq!(open.result.unwrap_err().object, "b", "the first that arrived");
    }
}
