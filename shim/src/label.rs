// SPDX-License-Identifier: Apache-2.0
//! The label under which a security module runs a program of the container: its first process, and every exec.

use crate::failure::{self, Result};
use crate::malformed::{self, Malformed, non_empty};
use std::path::Path;

/// `None` means that no label is requested.
#[derive(Debug, Clone, Default)]
pub struct Label {
    apparmor_profile: Option<String>,
    selinux_label: Option<String>,
}

impl Label {
    /// Checks a process's request; an empty name requests none.
    ///
    /// # Errors
    /// For a name with a newline or a NUL.
    pub fn checked(apparmor_profile: String, selinux_label: String) -> malformed::Result<Self> {
        let name = |field, name: String| match name.contains(['\0', '\n']) {
            true => Err(Malformed::new(field, format!("{name:?} is not a valid name"))),
            false => Ok(non_empty(name)),
        };
        Ok(Self {
            apparmor_profile: name("apparmor_profile", apparmor_profile)?,
            selinux_label: name("selinux_label", selinux_label)?,
        })
    }

    /// Asks the kernel to change to the label at this process's next execve.
    ///
    /// Call this while the host's /proc is still mounted: the container's could be anything.
    ///
    /// # Errors
    /// The kernel's error, with the profile or the label that it refused.
    pub fn set(&self) -> Result<()> {
        if let Some(profile) = &self.apparmor_profile {
            let own = "/proc/self/attr/apparmor/exec";
            let file = if Path::new(own).exists() { own } else { "/proc/self/attr/exec" };
            std::fs::write(file, format!("exec {profile}"))
                .map_err(|e| failure::kernel("set AppArmor profile", profile, e))?;
        }
        if let Some(label) = &self.selinux_label {
            std::fs::write("/proc/self/attr/exec", label)
                .map_err(|e| failure::kernel("set SELinux label", label, e))?;
        }
        Ok(())
    }
}
