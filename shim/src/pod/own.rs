// SPDX-License-Identifier: Apache-2.0
//! The namespaces that a pod does not share with the node.

/// Which namespaces a pod has of its own, apart from the user namespace.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// Its network.
    pub net: bool,
    /// Its System V and POSIX objects.
    pub ipc: bool,
    /// Its host name.
    pub uts: bool,
    /// Its processes, which all of its containers see; the pod then has an init.
    pub pid: bool,
}
