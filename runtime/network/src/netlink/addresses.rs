// SPDX-License-Identifier: Apache-2.0
//! Addresses of interfaces.

use super::socket::Rtnl;
use crate::error::NetworkError;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};

impl Rtnl {
    /// Lists every address of the node, with its subnet's prefix length and its interface's index.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses the request or does not answer in time.
    pub fn addresses(&mut self) -> Result<Vec<(u32, IpNet)>, NetworkError> {
        let found = self.dump("list addresses", Message::GetAddress(AddressMessage::default()))?;
        Ok(found.iter().filter_map(|m| if let Message::NewAddress(a) = m { address(a) } else { None }).collect())
    }

    /// Adds an address to an interface, unless it already has it. It works at once: no other node is asked whether it has
    /// the address, for the interface may never have a neighbour that could answer.
    ///
    /// # Errors
    /// [`NetworkError::Netlink`] when the kernel refuses, with `ENODEV` if the interface is gone.
    pub fn add_address(&mut self, name: &str, index: u32, address: IpNet) -> Result<(), NetworkError> {
        let mut request = address_message(index, address);
        if let IpNet::V4(net) = address {
            request.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
        } else {
            request.header.flags = AddressHeaderFlags::Nodad;
            request.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        match self.exchange(Message::NewAddress(request), NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK) {
            Ok(_) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            Err(source) => {
                Err(NetworkError::Netlink { what: "add address", object: format!("{address} to {name}"), source })
            }
        }
    }
}

fn address(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let find = |local: bool| {
        message.attributes.iter().find_map(|a| match a {
            AddressAttribute::Local(ip) if local => Some(*ip),
            AddressAttribute::Address(ip) if !local => Some(*ip),
            _ => None,
        })
    };
    let ip = find(true).or_else(|| find(false))?;
    Some((message.header.index, IpNet::new(ip, message.header.prefix_len).ok()?))
}

fn address_message(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix_len();
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
    message
}
