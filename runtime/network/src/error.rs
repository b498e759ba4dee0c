// SPDX-License-Identifier: Apache-2.0
//! The errors of the node's network, and the kind of each.

use crate::binding::{Place, Protocol};
use crate::nft::NftError;
use std::net::IpAddr;
use std::path::PathBuf;

/// A failed request to the built-in network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A port mapping of the request is not valid.
    #[error("port mapping {mapping}: {why}")]
    PortMapping {
        /// The mapping as requested.
        mapping: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// A pod or a process of the node already has the host port.
    #[error("host port {place} is taken by {holder}")]
    HostPortTaken {
        /// The requested port.
        place: Place,
        /// `pod ID`, or the process if it could be found.
        holder: String,
    },
    /// The kernel refused the socket that reserves a host port.
    #[error("reserve host port {place}: {errno}")]
    Reserve {
        /// The requested port.
        place: Place,
        /// The kernel's error.
        errno: rustix::io::Errno,
    },
    /// The pod has no address of a host address's family.
    #[error("host port {port}/{protocol} on {host_ip}: the pod has no address of that family")]
    HostAddressFamily {
        /// The requested address.
        host_ip: IpAddr,
        /// The requested port.
        port: u16,
        /// The requested protocol.
        protocol: Protocol,
    },
    /// A network gave a pod an address that no pod can have. A host port would lead to the node itself, or to many.
    #[error("no host port can lead to {ip}: it is not an address of a pod")]
    PodAddress {
        /// The address.
        ip: IpAddr,
    },
    /// Every address of the subnet is in use.
    #[error("no free address: {used} of {usable} addresses of {subnet} are in use")]
    AddressesExhausted {
        /// The subnet.
        subnet: ipnet::IpNet,
        /// How many addresses pods can have in total.
        usable: u64,
        /// How many of them are in use.
        used: u64,
    },
    /// The node's addresses and routes leave no subnet for pods.
    #[error(
        "no free subnet for pods: all {tried} candidates overlap an address or route of the node; set network.subnet"
    )]
    NoFreeSubnet {
        /// How many subnets were tried.
        tried: usize,
    },
    /// A configured or recorded subnet cannot hold a gateway and a pod.
    #[error("subnet {subnet} is too small for a gateway and pods")]
    SubnetTooSmall {
        /// The subnet.
        subnet: ipnet::IpNet,
    },
    /// An interface with the bridge's name is not a bridge.
    #[error("interface {name} exists and is not a bridge; remove it, or set network.bridge to another name")]
    NotABridge {
        /// The interface.
        name: String,
    },
    /// A bridge of this network's name belongs to something else.
    #[error("bridge {name} exists with address {found}, not {wanted}: it belongs to something else")]
    ForeignBridge {
        /// The bridge.
        name: String,
        /// The address it has.
        found: ipnet::IpNet,
        /// The gateway of our subnet.
        wanted: ipnet::IpNet,
    },
    /// The kernel refused a netlink request, or did not reply in time.
    #[error("{what} {object}: {source}")]
    Netlink {
        /// The operation.
        what: &'static str,
        /// The interface or table.
        object: String,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// A sysctl could not be set.
    #[error("set {} to {value}: {source}", .path.display())]
    Sysctl {
        /// The file below `/proc/sys`.
        path: PathBuf,
        /// The value to set.
        value: &'static str,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The record of this node's network could not be read or written.
    #[error("network record {}: {why}", .path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// The reason: the kernel's error, or a wrong checksum.
        why: String,
    },
    /// Another program wrote the record of this node's network.
    #[error(transparent)]
    ForeignRecord(gorae_kernel::checked::Foreign),
    /// A configured value is not valid.
    #[error("network.{key}: {value:?} {why}")]
    Config {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Other changes to the node's network took too long.
    #[error("other changes to the node's network did not finish within {seconds} s")]
    Busy {
        /// How long this change waited for them.
        seconds: u64,
    },
    /// Another Gorae on this machine holds the lock under which subnets are chosen.
    #[error("another daemon has held the lock for choosing a subnet for {seconds} s")]
    NodeLock {
        /// How long this daemon waited for it.
        seconds: u64,
    },
    /// The lock under which subnets are chosen cannot be used.
    #[error("lock {}: {source}", .path.display())]
    LockFile {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// There is no bridge, and none is being made.
    #[error("the bridge does not exist yet")]
    NotMade,
    /// The pod was never prepared, or was released.
    #[error("pod {pod_id} has no reservation in the network")]
    NotPrepared {
        /// The pod.
        pod_id: String,
    },
    /// nft is missing, failed or took too long.
    #[error(transparent)]
    Nft(#[from] NftError),
    /// iptables failed or took too long.
    #[error("{program}: {why}")]
    Iptables {
        /// The program.
        program: &'static str,
        /// What it said.
        why: String,
    },
    /// A task of this daemon ended without a result.
    #[error("network task ended early")]
    Task,
}

/// How a caller should treat a [`NetworkError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkErrorKind {
    /// The request can never succeed as it is.
    InvalidArgument,
    /// Something else holds the port.
    AlreadyExists,
    /// Addresses or subnets ran out.
    ResourceExhausted,
    /// A deadline passed; a retry may succeed.
    DeadlineExceeded,
    /// The node or the pod is not in the state that the request requires.
    FailedPrecondition,
    /// Everything else.
    Internal,
}

impl NetworkError {
    /// Whether the kernel says that the interface is gone.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Netlink { source, .. } if source.raw_os_error() == Some(libc::ENODEV))
    }

    /// The kind of this failure.
    pub fn kind(&self) -> NetworkErrorKind {
        use NetworkErrorKind as Kind;
        match self {
            Self::PortMapping { .. } | Self::HostAddressFamily { .. } | Self::Config { .. } => Kind::InvalidArgument,
            Self::HostPortTaken { .. } => Kind::AlreadyExists,
            Self::AddressesExhausted { .. } | Self::NoFreeSubnet { .. } => Kind::ResourceExhausted,
            Self::NodeLock { .. } | Self::Busy { .. } | Self::Nft(NftError::Deadline { .. }) => Kind::DeadlineExceeded,
            Self::NotPrepared { .. }
            | Self::NotMade
            | Self::SubnetTooSmall { .. }
            | Self::NotABridge { .. }
            | Self::ForeignBridge { .. }
            | Self::ForeignRecord(_)
            | Self::Nft(NftError::Missing) => Kind::FailedPrecondition,
            Self::Reserve { .. }
            | Self::Netlink { .. }
            | Self::Sysctl { .. }
            | Self::LockFile { .. }
            | Self::Record { .. }
            | Self::Nft(_)
            | Self::Iptables { .. }
            | Self::PodAddress { .. }
            | Self::Task => Kind::Internal,
        }
    }
}
