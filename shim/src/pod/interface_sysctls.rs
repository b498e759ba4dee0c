// SPDX-License-Identifier: Apache-2.0
//! Sysctls of interfaces that a network plugin has made, after the pod was set up.

use super::namespaces;
use super::own::Own;
use super::sysctl::{self, Sysctl};
use crate::failure::{self, Result};
use crate::malformed::{absolute, each};
use crate::proc_sys::ProcSys;
use crate::wire::SetSysctls;
use std::path::PathBuf;

/// Sysctls of a pod's network namespace: a checked [`SetSysctls`].
#[derive(Debug)]
pub struct Sysctls {
    netns: PathBuf,
    sysctls: Vec<Sysctl>,
}

impl Sysctls {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: SetSysctls) -> failure::Result<Self> {
        let own = Own { net: true, ipc: false, uts: false, pid: false };
        let sysctls = each("sysctls", request.sysctls, |sysctl| Sysctl::checked(sysctl, own))?;
        Ok(Self { netns: PathBuf::from(absolute("netns", request.netns)?), sysctls })
    }
}

/// Writes them. This process stays in the pod's network namespace; its mounts and users stay those of the node.
///
/// # Errors
/// The kernel's, with the sysctl or the namespace.
pub fn set(request: &Sysctls) -> Result<()> {
    namespaces::enter_net_at(&request.netns)?;
    sysctl::apply(&ProcSys::own()?, &request.sysctls)
}
