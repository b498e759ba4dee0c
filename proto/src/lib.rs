// SPDX-License-Identifier: Apache-2.0
//! The wire types of Gorae and nothing else: the CRI v1 messages and services, the protocol between the daemon and its
//! shims, and the byte layout that carries shim messages on a socket ([`frame`]).

#![forbid(unsafe_code)]

pub mod frame;
pub mod state;

/// CRI v1, generated from `proto/api.proto`. Field meanings are the CRI's own.
#[cfg(feature = "cri")]
#[allow(missing_docs, clippy::all, clippy::missing_errors_doc, clippy::unwrap_used, deprecated)]
pub mod cri {
    tonic::include_proto!("runtime.v1");

    impl std::fmt::Debug for AuthConfig {
        /// Prints which kinds of credential are set, never their values.
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("AuthConfig")
                .field("username", &!self.username.is_empty())
                .field("password", &!self.password.is_empty())
                .field("auth", &!self.auth.is_empty())
                .field("server_address", &self.server_address)
                .field("identity_token", &!self.identity_token.is_empty())
                .field("registry_token", &!self.registry_token.is_empty())
                .finish()
        }
    }
}

/// `gorae.v1`: requests of Gorae's own clients that the CRI does not have, generated from `proto/gorae.proto`, which
/// describes every field.
#[cfg(feature = "cri")]
#[allow(missing_docs, clippy::all, clippy::missing_errors_doc, clippy::unwrap_used)]
pub mod gorae {
    include!(concat!(env!("OUT_DIR"), "/own/gorae.v1.rs"));
}

/// The version of the daemon-to-shim protocol in this build. A shim writes it into every state of its container: in the
/// reply to its start, in each push and in the record on disk.
///
/// Raise it for a change that an older shim would misread or silently drop: a field that a daemon must not send to a
/// shim that does not know it, such as a new limit in `Resources`. Do not raise it for a new verb, because an older
/// shim replies `UNIMPLEMENTED`, or for a field that only carries more information.
pub const PROTOCOL: u32 = 1;

/// The `step` of a [`Failure`](shim::Failure) to mount an image as a volume. The CRI has a word of its own for it.
pub const IMAGE_VOLUME_STEP: &str = "mount image volume";

/// The annotation of a container that takes over the files of an exited one. Its value is the exited container's id.
pub const CONTINUE_ANNOTATION: &str = "dev.gorae.continue";

/// The daemon-to-shim protocol, generated from `proto/shim.proto`, which describes every field.
#[allow(missing_docs, clippy::all, clippy::missing_errors_doc, clippy::unwrap_used)]
pub mod shim {
    include!(concat!(env!("OUT_DIR"), "/gorae.shim.v1.rs"));
}
