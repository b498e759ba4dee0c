// SPDX-License-Identifier: Apache-2.0
//! Seccomp, AppArmor and SELinux of a request.

use crate::error::{Error, Result};
use gorae_proto::cri::{self, security_profile::ProfileType};
use gorae_proto::shim::Capabilities;
use gorae_seccomp as seccomp;
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
            Ok(kind) => {
                no_reference(profile, "apparmor")?;
                return without_apparmor(kind == ProfileType::RuntimeDefault && !security.privileged);
            }
            Err(_) => return Err(Error::invalid(format!("apparmor: {} is no profile type", profile.profile_type))),
        },
        None => match security.apparmor_profile.as_str() {
            "" | "unconfined" => return Ok(String::new()),
            "runtime/default" => return without_apparmor(!security.privileged),
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

/// Where AppArmor is off there is nothing to confine with; where it is on, a profile that is asked for is not left out.
fn without_apparmor(wants_default: bool) -> Result<String> {
    if wants_default && loaded_apparmor_profiles().is_some() {
        return Err(Error::precondition(
            "apparmor: this version has no default profile; load one and name it (Localhost), or ask for Unconfined",
        ));
    }
    Ok(String::new())
}

/// Checks the SELinux options of a request. Where SELinux is off they have nothing to work on, as with other runtimes;
/// where it is on, a label that is asked for is not left out.
///
/// # Errors
/// `InvalidArgument` for parts that make no label; `FailedPrecondition` on a node with SELinux.
pub fn selinux(options: Option<&cri::SeLinuxOption>) -> Result<()> {
    let Some(options) = options else { return Ok(()) };
    for (field, part) in [("user", &options.user), ("role", &options.role), ("type", &options.r#type)] {
        if part.len() > 255 || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b'-') {
            return Err(Error::invalid(format!("selinux_options.{field}: {part:?} is no part of a label")));
        }
    }
    if !level_is_whole(&options.level) {
        return Err(Error::invalid(format!("selinux_options.level: {:?} is not like s0:c1,c2", options.level)));
    }
    if Path::new("/sys/fs/selinux/enforce").exists() && *options != cri::SeLinuxOption::default() {
        return Err(Error::precondition("selinux_options: this version does not label containers"));
    }
    Ok(())
}

/// `s0`, `s0:c1,c2`, `s0-s0:c0.c1023`: sensitivities, each with categories after one colon.
fn level_is_whole(level: &str) -> bool {
    let number = |text: &str, letter: char, most: u32| {
        let digits = text.strip_prefix(letter).filter(|d| d.len() <= 4 && d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse::<u32>().ok()).is_some_and(|n| n <= most)
    };
    let category = |text: &str| number(text, 'c', 1023);
    let categories = |text: &str| {
        text.split(',').all(|one| match one.split_once('.') {
            Some((from, to)) => category(from) && category(to),
            None => category(one),
        })
    };
    level.is_empty()
        || level.split('-').count() <= 2
            && level.split('-').all(|one| match one.split_once(':') {
                Some((sensitivity, list)) => number(sensitivity, 's', 15) && categories(list),
                None => number(one, 's', 15),
            })
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
    fn only_whole_levels_are_levels() {
        for good in ["", "s0", "s0:c4,c5", "s0-s0:c0.c1023", "s15:c1"] {
            assert!(level_is_whole(good), "{good}");
        }
        for bad in ["s0,c4,c5", "c1", "s0:", "s0:c1024", "s16", "s0-s0-s0", "s0:c1:c2", "s0:c1 ", "s"] {
            assert!(!level_is_whole(bad), "{bad}");
        }
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
