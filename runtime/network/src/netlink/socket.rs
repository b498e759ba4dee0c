// SPDX-License-Identifier: Apache-2.0
//! The route socket: sends one request and reads its replies.

use crate::error::NetworkError;
use gorae_kernel::netlink::{self, Answer};
use gorae_kernel::netlink_socket::{Family, NetlinkSocket};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage as Message;
use std::io;
use std::time::Duration;

/// How long the kernel may take for one reply.
const DEADLINE: Duration = Duration::from_secs(10);

/// An open route socket.
#[derive(Debug)]
pub struct Rtnl {
    socket: NetlinkSocket,
    sequence: u32,
}

impl Rtnl {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`].
    pub fn open() -> Result<Self, NetworkError> {
        let socket = NetlinkSocket::open(Family::Route, DEADLINE);
        let socket =
            socket.map_err(|source| NetworkError::Netlink { what: "open", object: "route socket".into(), source })?;
        Ok(Self { socket, sequence: 0 })
    }

    pub(super) fn acked(
        &mut self,
        what: &'static str,
        object: &str,
        message: Message,
        flags: u16,
    ) -> Result<(), NetworkError> {
        self.exchange(message, flags | NLM_F_ACK).map(drop).map_err(|source| NetworkError::Netlink {
            what,
            object: object.into(),
            source,
        })
    }

    pub(super) fn dump(&mut self, what: &'static str, message: Message) -> Result<Vec<Message>, NetworkError> {
        self.exchange(message, NLM_F_DUMP).map_err(|source| NetworkError::Netlink {
            what,
            object: "of the node".into(),
            source,
        })
    }

    /// Sends one request and reads replies up to the last: an acknowledgement, an error, the end of a dump, or the
    /// single reply.
    pub(super) fn exchange(&mut self, message: Message, flags: u16) -> io::Result<Vec<Message>> {
        self.sequence += 1;
        let mut body = vec![0; message.buffer_len()];
        NetlinkSerializable::serialize(&message, &mut body);
        let mut bytes = Vec::new();
        netlink::push_message(&mut bytes, message.message_type(), netlink::REQUEST | flags, self.sequence, &body);
        self.socket.send(&bytes)?;
        let ends_with_answer = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
        let mut answers = Vec::new();
        while !self.receive(&mut answers)? {
            if ends_with_answer && !answers.is_empty() {
                break;
            }
        }
        Ok(answers)
    }

    /// Reads one datagram; true when the exchange is over. Messages that the crate cannot parse (a newer kernel's) are
    /// skipped.
    fn receive(&mut self, answers: &mut Vec<Message>) -> io::Result<bool> {
        let datagram = self.socket.receive()?;
        for answer in netlink::answers(&datagram).filter(|answer| answer.sequence == self.sequence) {
            match answer.end() {
                Some(0) => return Ok(true),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                None => answers.extend(parse(&answer)),
            }
        }
        Ok(false)
    }
}

fn parse(answer: &Answer<'_>) -> Option<Message> {
    let mut header = NetlinkHeader::default();
    header.message_type = answer.kind;
    Message::deserialize(&header, answer.body).ok()
}
