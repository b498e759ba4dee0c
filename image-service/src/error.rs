// SPDX-License-Identifier: Apache-2.0
//! Errors of the image service, and the few kinds that callers distinguish.

use crate::{registry, store};
use gorae_digest::Digest;
use gorae_image_formats::{hosts, manifest, reference};
use std::path::PathBuf;
use std::sync::Arc;

/// The kind of a failure; each has one gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is malformed.
    InvalidArgument,
    /// The image does not exist, on this node or in the registry.
    NotFound,
    /// The node's configuration does not allow it.
    FailedPrecondition,
    /// The disk is full, or a limit was reached.
    ResourceExhausted,
    /// The registry requires other credentials.
    Unauthenticated,
    /// The registry does not allow it.
    PermissionDenied,
    /// No registry host responds. Kubelet treats this kind specially.
    RegistryUnavailable,
    /// The image needs an unsupported feature.
    Unimplemented,
    /// The registry's bytes do not match their digests or are malformed.
    DataLoss,
    /// A failure of this node.
    Internal,
}

/// An error of the image service.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image name is malformed.
    #[error("image name {given:?} is not valid")]
    Reference {
        given: String,
        #[source]
        source: reference::Invalid,
    },
    /// An id prefix matches several images.
    #[error(transparent)]
    Ambiguous(#[from] store::Ambiguous),
    /// An image that is needed is not on this node.
    #[error("image {0:?} is not on this node")]
    Absent(String),
    /// `ImageSpec.runtime_handler` does not name a handler of this node.
    #[error("runtime handler {0:?} is not known")]
    RuntimeHandler(String),
    /// A hosts.toml cannot be used.
    #[error("the hosts configuration of registry {registry} cannot be used")]
    Hosts {
        registry: String,
        #[source]
        source: Box<hosts::Error>,
    },
    /// The registry did not provide what was requested.
    #[error("cannot pull {image}")]
    Registry {
        image: String,
        #[source]
        source: Box<registry::Error>,
    },
    /// The image's config or its list of layers is inconsistent.
    #[error("cannot pull {image}: its config {config} cannot be used: {why}")]
    Config { image: String, config: Digest, why: String },
    /// A layer could not be unpacked.
    #[error("cannot pull {image}: cannot unpack layer {layer}")]
    Layer {
        image: String,
        layer: Digest,
        #[source]
        source: Box<gorae_unpack::Error>,
    },
    /// The disk is full, or the image is larger than the free space.
    #[error(
        "cannot pull {image}: no space left on the device of {path}: {progress}, {left}; remove images that are not \
         needed, or change images.reserve"
    )]
    NoSpace { image: String, path: PathBuf, progress: String, left: String },
    /// The store failed.
    #[error("image store failed")]
    Store(#[from] store::Error),
    /// A task of the pull ended without a result, because the daemon is stopping.
    #[error("the pull was interrupted")]
    Interrupted,
    /// An error shared by several callers that waited for the same work.
    #[error(transparent)]
    Shared(#[from] Arc<Error>),
}

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Reference { .. } | Self::Ambiguous(_) | Self::RuntimeHandler(_) => Kind::InvalidArgument,
            Self::Absent(_) => Kind::NotFound,
            Self::Hosts { .. } => Kind::FailedPrecondition,
            Self::Registry { source, .. } => registry_kind(source),
            Self::Config { .. } => Kind::DataLoss,
            Self::Layer { source, .. } => layer_kind(source),
            Self::NoSpace { .. } => Kind::ResourceExhausted,
            Self::Store(source) if source.is_no_space() => Kind::ResourceExhausted,
            Self::Store(_) | Self::Interrupted => Kind::Internal,
            Self::Shared(error) => error.kind(),
        }
    }

    /// The error with its causes in one line, as clients receive it.
    pub fn message(&self) -> String {
        let text = registry::chain(self);
        match (self.kind(), self.of_registry()) {
            // Kubelet compares the beginning of the text. The most useful part comes right after it, because the rest may be
            // cut off where it is displayed.
            (Kind::RegistryUnavailable, source) => {
                let unknown = match source {
                    Some(registry::Error::Unavailable { unknown: Some(host), .. }) => format!("no such host {host}: "),
                    _ => String::new(),
                };
                format!("RegistryUnavailable: {unknown}{}", text.replacen("RegistryUnavailable: ", "", 1))
            }
            (Kind::NotFound, Some(_)) => format!("not found: {text}"),
            _ => text,
        }
    }

    /// The error of the registry, if it is one.
    fn of_registry(&self) -> Option<&registry::Error> {
        match self {
            Self::Registry { source, .. } => Some(source),
            Self::Shared(error) => error.of_registry(),
            _ => None,
        }
    }
}

fn registry_kind(error: &registry::Error) -> Kind {
    use registry::Error as E;
    match error {
        E::Unavailable { .. } | E::Stalled { .. } | E::Untrusted { .. } => Kind::RegistryUnavailable,
        E::Unauthenticated { .. } => Kind::Unauthenticated,
        E::Forbidden { .. } => Kind::PermissionDenied,
        E::NotFound { .. } | E::Manifest(manifest::Error::NoPlatform { .. }) => Kind::NotFound,
        E::Digest { .. } | E::TooLarge { .. } | E::Invalid { .. } | E::TooDeep { .. } => Kind::DataLoss,
        E::Manifest(manifest::Error::Invalid { .. }) => Kind::DataLoss,
        E::Manifest(manifest::Error::Unsupported { .. }) => Kind::Unimplemented,
        E::Tls(_) | E::Proxy => Kind::FailedPrecondition,
        E::Credentials(_) => Kind::InvalidArgument,
        E::Status { .. } | E::GivenUp => Kind::Internal,
    }
}

fn layer_kind(error: &gorae_unpack::Error) -> Kind {
    use gorae_unpack::Error as E;
    match error {
        E::Limit { .. } | E::Reserve { .. } => Kind::ResourceExhausted,
        error if error.is_of_the_image() => Kind::DataLoss,
        E::Attribute { .. } => Kind::FailedPrecondition,
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_does_wrong_is_not_the_nodes_failure() {
        let place = |errno| {
            layer_kind(&gorae_unpack::Error::Place {
                path: "x".into(),
                source: std::io::Error::from_raw_os_error(errno),
            })
        };
        for errno in [libc::ELOOP, libc::ENOTDIR, libc::ENAMETOOLONG, libc::EISDIR, libc::EINVAL] {
            assert_eq!(place(errno), Kind::DataLoss, "{errno}");
        }
        for errno in [libc::EIO, libc::EROFS, libc::ENOMEM, libc::EPERM] {
            assert_eq!(place(errno), Kind::Internal, "{errno}");
        }
        let attribute =
            |length| layer_kind(&gorae_unpack::Error::Attribute { path: "x".into(), name: "n".into(), length });
        assert_eq!((attribute(5000), attribute(70_000)), (Kind::FailedPrecondition, Kind::DataLoss));
        let reserve = gorae_unpack::Error::Reserve { what: "bytes", free: 1, reserve: 2 };
        assert_eq!(layer_kind(&reserve), Kind::ResourceExhausted);
    }
}
