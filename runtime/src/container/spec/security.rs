// SPDX-License-Identifier: Apache-2.0
//! Seccomp and AppArmor of a request.

use crate::error::{Error, Result};
use crate::seccomp;
use gorae_proto::cri::{self, security_profile::ProfileType};
use gorae_proto::shim::Capabilities;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// The largest seccomp profile file.
const MAX_PROFILE: u64 = seccomp::LARGEST_PROFILE as u64;

/// The compiled filter; `None` when the container is unconfined.
///
/// # Errors
/// `InvalidArgument` for a broken profile, `NotFound` for a missing file.
pub fn seccomp(
    security: &cri::LinuxContainerSecurityContext,
    caps: &Capabilities,
) -> Result<Option<Arc<seccomp::Filter>>> {
    if security.privileged {
        return Ok(None);
    }
    let Some(profile) = seccomp_profile(security)? else { return Ok(None) };
    match profile.profile_type() {
        ProfileType::Unconfined => no_reference(&profile, "seccomp").map(|()| None),
        ProfileType::RuntimeDefault => {
            no_reference(&profile, "seccomp")?;
            Ok(Some(seccomp::default_filter(caps.bounding)))
        }
        ProfileType::Localhost => {
            let path = profile.localhost_ref.strip_prefix("localhost/").unwrap_or(&profile.localhost_ref);
            let text = read_profile(path)?;
            let filter = seccomp::from_profile_json(&text, caps.bounding)
                .map_err(|e| Error::invalid(format!("seccomp profile {path}: {e}")))?;
            Ok(Some(filter))
        }
    }
}

#[allow(deprecated)]
fn seccomp_profile(security: &cri::LinuxContainerSecurityContext) -> Result<Option<cri::SecurityProfile>> {
    if let Some(profile) = &security.seccomp {
        ProfileType::try_from(profile.profile_type)
            .map_err(|_| Error::invalid(format!("seccomp: {} is no profile type", profile.profile_type)))?;
        return Ok(Some(profile.clone()));
    }
    let of = |profile_type: ProfileType, reference: &str| {
        Some(cri::SecurityProfile { profile_type: profile_type.into(), localhost_ref: reference.into() })
    };
    match security.seccomp_profile_path.as_str() {
        "" | "unconfined" => Ok(None),
        "runtime/default" | "docker/default" => Ok(of(ProfileType::RuntimeDefault, "")),
        path => match path.strip_prefix("localhost/") {
            Some(file) => Ok(of(ProfileType::Localhost, file)),
            None => Err(Error::invalid(format!("seccomp_profile_path: {path:?} is of no known form"))),
        },
    }
}

fn no_reference(profile: &cri::SecurityProfile, field: &str) -> Result<()> {
    if profile.localhost_ref.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("{field}: localhost_ref is set, but the type is not Localhost")))
}

fn read_profile(path: &str) -> Result<Vec<u8>> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("seccomp: localhost_ref {path:?} is not an absolute path")));
    }
    let failed = |e: std::io::Error| Error::io("read seccomp profile", Path::new(path), &e);
    // Non-blocking: a fifo in its place must not hold this thread.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::invalid(format!("seccomp profile {path} is not a regular file")));
    }
    let mut text = Vec::new();
    file.take(MAX_PROFILE + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_PROFILE {
        return Err(Error::invalid(format!("seccomp profile {path} is larger than {MAX_PROFILE} bytes")));
    }
    Ok(text)
}

/// The AppArmor profile to switch to at exec; empty for none.
///
/// # Errors
/// `FailedPrecondition` when a profile is asked by name and this kernel has no AppArmor or the profile is
/// not loaded.
pub fn apparmor(security: &cri::LinuxContainerSecurityContext) -> Result<String> {
    #[allow(deprecated)]
    let name = match &security.apparmor {
        Some(profile) => match ProfileType::try_from(profile.profile_type) {
            Ok(ProfileType::Localhost) => profile.localhost_ref.as_str(),
            Ok(_) => return no_reference(profile, "apparmor").map(|()| String::new()),
            Err(_) => return Err(Error::invalid(format!("apparmor: {} is no profile type", profile.profile_type))),
        },
        None => match security.apparmor_profile.as_str() {
            "" | "runtime/default" | "unconfined" => return Ok(String::new()),
            name => name,
        },
    };
    let name = name.strip_prefix("localhost/").unwrap_or(name);
    if name.is_empty() || name.contains(['\0', '\n']) {
        return Err(Error::invalid(format!("apparmor: {name:?} is no profile name")));
    }
    match loaded_apparmor_profiles() {
        None => Err(Error::precondition(format!("apparmor profile {name:?} is asked for, but AppArmor is off here"))),
        Some(loaded) if loaded.lines().any(|l| l.rsplit_once(" (").is_some_and(|(n, _)| n == name)) => Ok(name.into()),
        Some(_) => Err(Error::precondition(format!("apparmor profile {name:?} is not loaded on this node"))),
    }
}

fn loaded_apparmor_profiles() -> Option<String> {
    std::fs::read_to_string("/sys/kernel/security/apparmor/profiles").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{LinuxContainerSecurityContext, SecurityProfile};

    fn with(profile: Option<SecurityProfile>, privileged: bool) -> LinuxContainerSecurityContext {
        LinuxContainerSecurityContext { seccomp: profile, privileged, ..Default::default() }
    }

    #[test]
    fn nothing_is_unconfined_and_an_empty_profile_is_the_default_one() {
        let caps = Capabilities::default();
        assert!(seccomp(&with(None, false), &caps).expect("fine").is_none());
        assert!(seccomp(&with(Some(SecurityProfile::default()), false), &caps).expect("fine").is_some());
        assert!(seccomp(&with(Some(SecurityProfile::default()), true), &caps).expect("privileged").is_none());
    }

    #[test]
    fn broken_references_are_refused() {
        let caps = Capabilities::default();
        let profile =
            |kind: i32, reference: &str| SecurityProfile { profile_type: kind, localhost_ref: reference.into() };
        for bad in [
            profile(0, "/x"),
            profile(1, "/x"),
            profile(2, "x"),
            profile(2, ""),
            profile(2, "/nonexistent"),
            profile(9, ""),
        ] {
            assert!(seccomp(&with(Some(bad.clone()), false), &caps).is_err(), "{bad:?}");
        }
        assert!(seccomp(&with(Some(profile(2, "/dev/zero")), false), &caps).is_err());
    }
}
