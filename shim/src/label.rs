// SPDX-License-Identifier: Apache-2.0
//! The label under which a security module runs a program of the container: its first process, and every exec.

use crate::failure::{self, Result};
use crate::wire::Process;
use std::path::Path;

/// Empty names: none is asked for.
#[derive(Debug, Clone, Default)]
pub struct Label {
    apparmor_profile: String,
    selinux_label: String,
}

impl Label {
    /// What the process asks for.
    pub fn of(process: &Process) -> Self {
        Self { apparmor_profile: process.apparmor_profile.clone(), selinux_label: process.selinux_label.clone() }
    }

    /// Has the kernel change to the label at this process's next execve.
    ///
    /// To be called while the host's /proc is still there: the container's could be anything.
    pub fn set(&self) -> Result<()> {
        if !self.apparmor_profile.is_empty() {
            let own = "/proc/self/attr/apparmor/exec";
            let file = if Path::new(own).exists() { own } else { "/proc/self/attr/exec" };
            std::fs::write(file, format!("exec {}", self.apparmor_profile))
                .map_err(|e| failure::kernel("set AppArmor profile", &self.apparmor_profile, e))?;
        }
        if !self.selinux_label.is_empty() {
            std::fs::write("/proc/self/attr/exec", &self.selinux_label)
                .map_err(|e| failure::kernel("set SELinux label", &self.selinux_label, e))?;
        }
        Ok(())
    }
}
