// SPDX-License-Identifier: Apache-2.0
//! The errors of networks that people make, and the kind of each.

use gorae_kernel::checked::Foreign;
use gorae_network::{NetworkError, NftError};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// A failed request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something in a request is not valid.
    #[error("{what} {value:?} {why}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such network.
    #[error("no network {name:?}")]
    NotFound {
        /// The name or id that was asked for.
        name: String,
    },
    /// A shortened id is that of several networks.
    #[error("network id {prefix:?} is ambiguous: {count} networks begin with it")]
    Ambiguous {
        /// The shortened id.
        prefix: String,
        /// How many networks there are.
        count: usize,
    },
    /// The pod is not in the network.
    #[error("pod {pod_id} is not in network {network}")]
    NotMember {
        /// The pod.
        pod_id: String,
        /// The network.
        network: String,
    },
    /// The pod is in the network already, or has other networks than those that were asked for.
    #[error("pod {pod_id} is already in network {network}")]
    AlreadyMember {
        /// The pod.
        pod_id: String,
        /// The network.
        network: String,
    },
    /// A network has the name already.
    #[error("network {name} already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// A subnet overlaps another one.
    #[error("subnet {subnet} overlaps {with}; choose another one")]
    Overlap {
        /// The subnet.
        subnet: IpNet,
        /// What it overlaps, for people.
        with: String,
    },
    /// Every candidate for a subnet is in use.
    #[error(
        "no free subnet: all {tried} candidates overlap a network, an address or a route of the node; give a subnet"
    )]
    NoFreeSubnet {
        /// How many subnets were tried.
        tried: usize,
    },
    /// The network has pods.
    #[error("network {network} is in use by {}", of_pods(.pods))]
    InUse {
        /// The network.
        network: String,
        /// The pods.
        pods: Vec<String>,
    },
    /// A network without a subnet of the user's choice has no addresses of the user's choice.
    #[error(
        "address {ip}: network {network} was made without a subnet, and a pod can choose its address only in a subnet \
             that was given"
    )]
    NotGiven {
        /// The address.
        ip: IpAddr,
        /// The network.
        network: String,
    },
    /// Another pod has the address.
    #[error("{address} is in use in network {network} by pod {pod_id}")]
    Taken {
        /// The IP address or hardware address.
        address: String,
        /// The network.
        network: String,
        /// The pod that has it.
        pod_id: String,
    },
    /// Every address is in use.
    #[error("no free address in network {network}: {used} of {usable} addresses of {range} are in use")]
    Exhausted {
        /// The network.
        network: String,
        /// The range or subnet.
        range: IpNet,
        /// How many addresses pods can have.
        usable: u128,
        /// How many of them are in use.
        used: u128,
    },
    /// An interface with the bridge's name belongs to something else.
    #[error("interface {name} exists and is not the bridge of network {network}; remove it")]
    ForeignBridge {
        /// The interface.
        name: String,
        /// The network.
        network: String,
    },
    /// Records that cannot be read may hold a name or a subnet.
    #[error("the record {} of a network is damaged ({why}), and its name and subnets are not known; move it away to give \
             them up, and restart goraed", .path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// nft is missing.
    #[error("nft is not installed: without it, networks cannot be kept apart (package nftables)")]
    NoNft,
    /// A record could not be read or written.
    #[error("{what} {}: {source}", .path.display())]
    Record {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// Another program wrote a record.
    #[error(transparent)]
    Foreign(Foreign),
    /// A change to the node's network failed.
    #[error(transparent)]
    Node(#[from] NetworkError),
    /// A change to the pod's network failed.
    #[error("change the networks of pod {pod_id}: {source}")]
    Shim {
        /// The pod.
        pod_id: String,
        /// The shim's error.
        source: gorae_shims::Error,
    },
    /// Other changes took too long.
    #[error("other changes to networks did not finish within {seconds} s")]
    Busy {
        /// How long this one waited for them.
        seconds: u64,
    },
    /// The kernel gave no random bytes.
    #[error("random id: {0}")]
    Random(String),
    /// A task of this daemon ended without a result.
    #[error("network task ended early")]
    Task,
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;

/// How a caller should treat an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request can never succeed as it is.
    InvalidArgument,
    /// There is no such network, or the pod is not in it.
    NotFound,
    /// The name or the address is in use.
    AlreadyExists,
    /// The node or the network is not in the state that the request requires.
    FailedPrecondition,
    /// Addresses or subnets ran out.
    ResourceExhausted,
    /// A retry may succeed.
    Unavailable,
    /// Everything else.
    Internal,
}

impl Error {
    /// Something that is not valid.
    pub(crate) fn invalid(what: &'static str, value: impl ToString, why: impl Into<String>) -> Self {
        Self::Invalid { what, value: value.to_string(), why: why.into() }
    }

    /// The kind of this failure.
    pub fn kind(&self) -> ErrorKind {
        use ErrorKind as Kind;
        match self {
            Self::Invalid { .. } | Self::Ambiguous { .. } => Kind::InvalidArgument,
            Self::NotFound { .. } | Self::NotMember { .. } => Kind::NotFound,
            Self::Exists { .. } | Self::AlreadyMember { .. } | Self::Taken { .. } => Kind::AlreadyExists,
            Self::Overlap { .. }
            | Self::InUse { .. }
            | Self::NotGiven { .. }
            | Self::ForeignBridge { .. }
            | Self::Damaged { .. }
            | Self::Foreign(_)
            | Self::NoNft => Kind::FailedPrecondition,
            Self::NoFreeSubnet { .. } | Self::Exhausted { .. } => Kind::ResourceExhausted,
            Self::Busy { .. } => Kind::Unavailable,
            Self::Node(error) => of_node(error),
            Self::Shim { source, .. } => of_shim(source),
            Self::Record { .. } | Self::Random(_) | Self::Task => Kind::Internal,
        }
    }
}

fn of_node(error: &NetworkError) -> ErrorKind {
    use gorae_network::NetworkErrorKind as Node;
    match error {
        NetworkError::Nft(NftError::Missing) => return ErrorKind::FailedPrecondition,
        NetworkError::Nft(NftError::Deadline { .. }) => return ErrorKind::Unavailable,
        _ => {}
    }
    match error.kind() {
        Node::InvalidArgument => ErrorKind::InvalidArgument,
        Node::AlreadyExists => ErrorKind::AlreadyExists,
        Node::ResourceExhausted => ErrorKind::ResourceExhausted,
        Node::DeadlineExceeded => ErrorKind::Unavailable,
        Node::FailedPrecondition => ErrorKind::FailedPrecondition,
        Node::Internal => ErrorKind::Internal,
    }
}

fn of_shim(error: &gorae_shims::Error) -> ErrorKind {
    match error {
        gorae_shims::Error::TimedOut(_) => ErrorKind::Unavailable,
        gorae_shims::Error::NoRoom(_) => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Internal,
    }
}

/// The first few pods, and how many others there are.
fn of_pods(pods: &[String]) -> String {
    const NAMED: usize = 8;
    let named = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let word = if pods.len() == 1 { "pod" } else { "pods" };
    match pods.len().saturating_sub(NAMED) {
        0 => format!("{word} {named}"),
        more => format!("{word} {named} and {more} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_in_use_names_its_pods_but_not_thousands() {
        let of = |count: usize| of_pods(&(0..count).map(|n| format!("p{n}")).collect::<Vec<_>>());
        assert_eq!(of(1), "pod p0");
        assert_eq!(of(2), "pods p0, p1");
        assert_eq!(of(10), "pods p0, p1, p2, p3, p4, p5, p6, p7 and 2 others");
    }

    #[test]
    fn a_deadline_may_pass_next_time_and_a_missing_program_will_not() {
        let late = NftError::Deadline { after: std::time::Duration::from_secs(1) };
        assert_eq!(Error::Node(late.into()).kind(), ErrorKind::Unavailable);
        assert_eq!(Error::Node(NftError::Missing.into()).kind(), ErrorKind::FailedPrecondition);
        assert_eq!(Error::NoNft.kind(), ErrorKind::FailedPrecondition);
    }
}
