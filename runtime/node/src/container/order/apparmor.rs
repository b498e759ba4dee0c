// SPDX-License-Identifier: Apache-2.0
//! The AppArmor profile of a request.

use super::profile;
use crate::error::{Error, Result};
use gorae_proto::cri::{self, security_profile::ProfileType};

/// The profile to change to when the program starts; `None` for no change.
///
/// # Errors
/// `FailedPrecondition` when a profile is requested by name and this kernel has no AppArmor or the profile is not
/// loaded.
pub fn profile(security: &cri::LinuxContainerSecurityContext) -> Result<Option<String>> {
    #[allow(deprecated)]
    let name = match &security.apparmor {
        Some(asked) => match profile::kind("apparmor", asked)? {
            ProfileType::Localhost => asked.localhost_ref.as_str(),
            ProfileType::RuntimeDefault => return without(!security.privileged),
            ProfileType::Unconfined => return without(false),
        },
        None => match security.apparmor_profile.as_str() {
            "" | "unconfined" => return without(false),
            "runtime/default" => return without(!security.privileged),
            name => name,
        },
    };
    let name = profile::without_prefix(name);
    if name.is_empty() || name.contains(['\0', '\n']) {
        return Err(Error::invalid(format!("apparmor: {name:?} is not a profile name")));
    }
    match loaded() {
        None => Err(Error::precondition(format!(
            "apparmor profile {name:?} is requested, but AppArmor is off on this node"
        ))),
        Some(loaded) if loaded.lines().any(|l| l.rsplit_once(" (").is_some_and(|(n, _)| n == name)) => {
            Ok(Some(name.to_owned()))
        }
        Some(_) => Err(Error::precondition(format!("apparmor profile {name:?} is not loaded on this node"))),
    }
}

/// Where AppArmor is off, nothing can be confined. Where it is on, a requested profile is never ignored.
fn without(wants_default: bool) -> Result<Option<String>> {
    if wants_default && loaded().is_some() {
        return Err(Error::precondition(
            "apparmor: this version has no default profile; load one and name it (Localhost), or request Unconfined",
        ));
    }
    Ok(None)
}

/// The kernel's list of profiles; `None` where AppArmor is off.
fn loaded() -> Option<String> {
    std::fs::read_to_string("/sys/kernel/security/apparmor/profiles").ok()
}
