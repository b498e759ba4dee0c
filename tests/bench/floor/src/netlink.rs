// SPDX-License-Identifier: Apache-2.0
//! A route socket and the five requests that a pod's network takes, as bytes.

use anyhow::{Context, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::io::Error;

const ACK: u16 = 1 | 4;
const CREATE: u16 = ACK | 0x400 | 0x200;
const VETH_INFO_PEER: u16 = 1;

/// A socket of the namespace it was opened in.
pub struct Route(OwnedFd);

/// One request: header, body, attributes.
struct Request(Vec<u8>);

impl Route {
    pub fn open() -> Result<Self> {
        // No protocol is protocol 0, NETLINK_ROUTE.
        Ok(Self(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A bridge, made when there is none, up with an address; its index.
    pub fn bridge(&self, name: &str, address: [u8; 4], prefix: u8) -> Result<u32> {
        let request = Request::new(libc::RTM_NEWLINK, CREATE, &link(0, 0)).text(libc::IFLA_IFNAME, name);
        let made = self.run(request.nest(libc::IFLA_LINKINFO, |r| r.text(libc::IFLA_INFO_KIND, "bridge")));
        made.or_else(|e| if e.raw_os_error() == Some(libc::EEXIST) { Ok(()) } else { Err(e) })?;
        let index = rustix::net::netdevice::name_to_index(&self.0, name)?;
        self.address(index, address, prefix)?;
        self.up(index)?;
        Ok(index)
    }

    /// A veth pair: one end up in a bridge here, `eth0` (still down) in another namespace.
    pub fn veth(&self, name: &str, bridge: u32, netns: BorrowedFd<'_>) -> Result<()> {
        let peer = |r: Request| {
            r.raw(&link(0, 0)).text(libc::IFLA_IFNAME, "eth0").word(libc::IFLA_NET_NS_FD, netns.as_raw_fd() as u32)
        };
        let request = Request::new(libc::RTM_NEWLINK, CREATE, &link(0, libc::IFF_UP as u32))
            .text(libc::IFLA_IFNAME, name)
            .word(libc::IFLA_MASTER, bridge)
            .nest(libc::IFLA_LINKINFO, |r| {
                r.text(libc::IFLA_INFO_KIND, "veth").nest(libc::IFLA_INFO_DATA, |r| r.nest(VETH_INFO_PEER, peer))
            });
        self.run(request).context("veth pair")
    }

    pub fn up(&self, index: u32) -> Result<()> {
        self.run(Request::new(libc::RTM_NEWLINK, ACK, &link(index, libc::IFF_UP as u32))).context("link up")
    }

    pub fn address(&self, index: u32, address: [u8; 4], prefix: u8) -> Result<()> {
        let [a, b, c, d] = index.to_ne_bytes();
        // struct ifaddrmsg
        let body = [libc::AF_INET as u8, prefix, 0, 0, a, b, c, d];
        let request = Request::new(libc::RTM_NEWADDR, ACK | 0x400 | 0x100, &body);
        self.run(request.bytes(libc::IFA_LOCAL, &address).bytes(libc::IFA_ADDRESS, &address)).context("address")
    }

    pub fn default_route(&self, gateway: [u8; 4]) -> Result<()> {
        // struct rtmsg: main table, by the administrator at boot, everywhere, unicast
        let body = [libc::AF_INET as u8, 0, 0, 0, libc::RT_TABLE_MAIN, 3, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let request = Request::new(libc::RTM_NEWROUTE, CREATE, &body).bytes(libc::RTA_GATEWAY, &gateway);
        self.run(request).context("default route")
    }

    pub fn delete(&self, index: u32) -> Result<()> {
        self.run(Request::new(libc::RTM_DELLINK, ACK, &link(index, 0))).context("delete link")
    }

    fn run(&self, request: Request) -> Result<(), Error> {
        send(&self.0, &request.0, SendFlags::empty())?;
        let mut answer = [0; 4096];
        recv(&self.0, &mut answer, RecvFlags::empty())?;
        // struct nlmsghdr is 16 bytes; an acknowledgement begins with the errno, negative or 0.
        match -i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
            0 => Ok(()),
            errno => Err(Error::from_raw_os_error(errno)),
        }
    }
}

/// `struct ifinfomsg`: the flags of `up` are the ones to change.
fn link(index: u32, up: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&up.to_ne_bytes());
    body[12..16].copy_from_slice(&up.to_ne_bytes());
    body
}

impl Request {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self(bytes).raw(body)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.raw(value)
    }

    fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), b"\0"].concat())
    }

    fn word(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    fn nest(self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        let mut whole = inner(self.bytes(kind, &[]));
        let length = (whole.0.len() - start) as u16;
        whole.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        whole
    }
}
