// SPDX-License-Identifier: Apache-2.0
//! Makes a TCP connection to localhost inside a pod, for the daemon to use.

use super::namespaces;
use crate::failure::{self, Result};
use crate::malformed::{Malformed, absolute, non_empty};
use crate::wire::DialPod;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time limit when the request sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A port of a pod to connect to: a checked [`DialPod`].
#[derive(Debug)]
pub struct Dial {
    /// `None`: the daemon's own network.
    netns: Option<PathBuf>,
    port: u16,
    timeout: Duration,
}

impl Dial {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: DialPod) -> Result<Self> {
        let netns = non_empty(request.netns).map(|path| absolute("netns", path)).transpose()?;
        let port = u16::try_from(request.port).ok().filter(|&port| port != 0);
        let port = port.ok_or_else(|| Malformed::new("port", format!("{} is not a port number", request.port)))?;
        let timeout = match request.timeout_ms {
            0 => DEFAULT_TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        Ok(Self { netns: netns.map(PathBuf::from), port, timeout })
    }
}

/// Connects to `127.0.0.1:port`, then to `[::1]:port`. This process stays in the pod's network namespace.
///
/// - Shapes: the socket is non-blocking and close-on-exec.
///
/// # Errors
/// That of the IPv4 attempt (`ECONNREFUSED` when nothing listens), unless IPv6 failed in another way; `DeadlineExceeded`
/// when the time limit is reached.
pub fn dial(request: &Dial) -> Result<OwnedFd> {
    if let Some(path) = &request.netns {
        namespaces::enter_net_at(path)?;
    }
    let (port, end) = (request.port, Instant::now() + request.timeout);
    let [v4, v6] =
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, port));
    attempt(v4, end).or_else(|first| match attempt(v6, end) {
        Err(Errno::CONNREFUSED | Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
            Err(failure::kernel("connect to", v4.to_string(), first))
        }
        Err(second) => Err(failure::kernel("connect to", v6.to_string(), second)),
        Ok(socket) => Ok(socket),
    })
}

fn attempt(to: SocketAddr, end: Instant) -> std::result::Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match connect(&socket, &to) {
        Err(Errno::INPROGRESS) => {}
        other => return other.map(|()| socket),
    }
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) => return Err(Errno::TIMEDOUT),
            Err(Errno::INTR) => {}
            other => {
                other?;
                break;
            }
        };
    }
    rustix::net::sockopt::socket_error(&socket)??;
    Ok(socket)
}
