// SPDX-License-Identifier: Apache-2.0
//! Opens the sockets of a container's name server, in its network namespace.

use super::rules::{self, ADDRESS, PORT};
use crate::failure::{self, Result};
use crate::malformed::{Malformed, absolute};
use crate::pod::enter_net_at;
use crate::wire::{NamesOpened, OpenNames};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Ports that are tried for a pair of sockets.
const ATTEMPTS: usize = 10;

/// Where to open the sockets: a checked [`OpenNames`].
#[derive(Debug)]
pub struct Open {
    netns: PathBuf,
    /// 0: any.
    port: u16,
}

impl Open {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: OpenNames) -> Result<Self> {
        let port = u16::try_from(request.port)
            .map_err(|_| Malformed::new("port", format!("{} is not a port number", request.port)))?;
        Ok(Self { netns: absolute("netns", request.netns)?.into(), port })
    }
}

/// Opens a socket for datagrams and one that listens, and leads port 53 to them. This process stays in the namespace.
///
/// # Errors
/// The kernel's error. Rules of an earlier time stay then.
pub fn open(request: &Open) -> Result<(NamesOpened, Vec<OwnedFd>)> {
    enter_net_at(&request.netns)?;
    if let Some(nft) = rules::nft() {
        let (port, sockets) = pair(request.port)?;
        match rules::lead_to(&nft, port)? {
            None => return Ok((NamesOpened { port: port.into(), untranslated: String::new() }, sockets)),
            // The rules of the last time lead to this port.
            Some(_) if request.port != 0 && port == request.port => {
                return Ok((NamesOpened { port: port.into(), untranslated: String::new() }, sockets));
            }
            // They would still lead to another one: it has to be tried again.
            Some(why) if request.port != 0 => {
                return Err(failure::refused(
                    failure::Kind::FailedPrecondition,
                    "translate port 53 to the name server",
                    why,
                    "",
                ));
            }
            Some(why) => return directly(why),
        }
    }
    directly("nft is not installed (package nftables)".to_owned())
}

/// The sockets at port 53 itself, because nothing can lead there.
fn directly(why: String) -> Result<(NamesOpened, Vec<OwnedFd>)> {
    let sockets = sockets(PORT).map_err(|errno| fail(PORT, errno))?;
    Ok((NamesOpened { port: PORT.into(), untranslated: why }, sockets.1))
}

/// Two sockets with one port, if possible this one.
fn pair(port: u16) -> Result<(u16, Vec<OwnedFd>)> {
    let mut answer = sockets(port);
    for _ in 0..ATTEMPTS {
        // The free port of one protocol may be taken in the other.
        match answer {
            Err(Errno::ADDRINUSE) => answer = sockets(0),
            other => return other.map_err(|errno| fail(port, errno)),
        }
    }
    answer.map_err(|errno| fail(port, errno))
}

fn sockets(port: u16) -> rustix::io::Result<(u16, Vec<OwnedFd>)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let datagrams = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    bind(&datagrams, &SocketAddrV4::new(ADDRESS, port))?;
    let bound = SocketAddrV4::try_from(rustix::net::getsockname(&datagrams)?)?;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    // Connections of an earlier server may still be closing.
    sockopt::set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &bound)?;
    listen(&listener, 64)?;
    Ok((bound.port(), vec![datagrams, listener]))
}

fn fail(port: u16, errno: Errno) -> failure::Failure {
    failure::kernel("open name server at", format!("{ADDRESS}:{port}"), errno)
}
