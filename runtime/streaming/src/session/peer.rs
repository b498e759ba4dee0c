// SPDX-License-Identifier: Apache-2.0
//! Checks whether a peer still exists at the other end of a silent connection.
//!
//! A peer that loses its power or its network does not close the connection. While no data is in flight to it, the
//! kernel's keepalive notices. Otherwise the kernel retries for a quarter of an hour. TCP_USER_TIMEOUT cannot shorten
//! that, because it also ends a peer that answers every probe and merely has no room: a person reading a pager. So we
//! ask the kernel what it is waiting for, and how many probes have failed.

use gorae_kernel::netlink::{HEADER, REQUEST, answers, push_message, word};
use gorae_kernel::netlink_socket::{Family, NetlinkSocket};
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the kernel may take to reply.
const DEADLINE: Duration = Duration::from_secs(1);
const PROBES: u32 = 3;
const TCP: u8 = 6;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// The offset of `idiag_wqueue`: after four bytes, both addresses with their ports, and two numbers.
const WRITE_QUEUE: usize = 4 + 48 + 8;
/// `idiag_timer` of a connection that retransmits, and of one that probes a peer without room.
const RETRANSMITS: u8 = 1;
const PROBES_WINDOW: u8 = 4;

/// Both addresses of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    local: SocketAddr,
    peer: SocketAddr,
}

impl Ends {
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self { local: stream.local_addr()?, peer: stream.peer_addr()? })
    }
}

/// Makes the kernel end an idle connection whose peer does not respond for `silence`.
pub(crate) fn keep_alive(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    let second = Duration::from_secs(1);
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, (silence / 2).max(second))?;
    set_tcp_keepintvl(stream, (silence / 2 / PROBES).max(second))?;
    Ok(set_tcp_keepcnt(stream, PROBES)?)
}

/// How many retransmissions or probes to the peer have failed; `None` when nothing is unacknowledged.
pub(crate) fn tries(ends: Ends) -> io::Result<Option<u8>> {
    let socket = NetlinkSocket::open(Family::SockDiag, DEADLINE)?;
    socket.send(&question(ends))?;
    read_answer(&socket.receive()?)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn question(ends: Ends) -> Vec<u8> {
    let family =
        if ends.local.is_ipv4() { rustix::net::AddressFamily::INET } else { rustix::net::AddressFamily::INET6 };
    let mut body = vec![family.as_raw() as u8, TCP, 0, 0];
    body.extend(u32::MAX.to_ne_bytes()); // in any state
    body.extend(ends.local.port().to_be_bytes());
    body.extend(ends.peer.port().to_be_bytes());
    body.extend(address(ends.local.ip()));
    body.extend(address(ends.peer.ip()));
    body.extend(0u32.to_ne_bytes()); // over any interface
    body.extend([u8::MAX; 8]); // whatever its cookie
    let mut message = Vec::with_capacity(HEADER + body.len());
    push_message(&mut message, BY_FAMILY, REQUEST, 0, &body);
    message
}

fn address(ip: IpAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    match ip {
        IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes = ip.octets(),
    }
    bytes
}

/// Reads `idiag_timer`, `idiag_retrans` and `idiag_wqueue` of `struct inet_diag_msg`.
fn read_answer(datagram: &[u8]) -> io::Result<Option<u8>> {
    let short = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's reply is too short");
    let answer = answers(datagram).next().ok_or_else(short)?;
    if let Some(errno) = answer.end() {
        return Err(io::Error::from_raw_os_error(errno));
    }
    let [_, _, timer, retransmits] = *answer.body.first_chunk().ok_or_else(short)?;
    let unacknowledged = word(answer.body, WRITE_QUEUE).ok_or_else(short)?;
    let asks = [RETRANSMITS, PROBES_WINDOW].contains(&timer);
    Ok((unacknowledged != 0).then_some(if asks { retransmits } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    #[tokio::test]
    async fn the_kernel_says_what_it_waits_for_over_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (mut server, client) = pair(address).await;
            let ends = Ends::of(&server).unwrap();
            assert_eq!(tries(ends).unwrap(), None, "{address}");
            crate::tests::vanish(&client);
            server.write_all(b"hello").await.unwrap();
            let begun = std::time::Instant::now();
            while tries(ends).unwrap().is_none_or(|n| n < 2) {
                assert!(begun.elapsed() < Duration::from_secs(20), "{address}: {:?}", tries(ends));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            drop(server);
        }
    }

    #[test]
    fn a_connection_that_is_not_there_and_a_short_answer_are_errors() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(tries(Ends { local: nobody, peer: nobody }).unwrap_err().kind(), io::ErrorKind::NotFound);
        for length in 0..WRITE_QUEUE + 4 {
            let mut answer = Vec::new();
            push_message(&mut answer, BY_FAMILY, 0, 0, &vec![0; length]);
            answer.truncate(HEADER + length);
            assert!(read_answer(&answer).is_err(), "{length}");
        }
    }
}
