// SPDX-License-Identifier: Apache-2.0
//! The seccomp filter of a request.

use super::profile;
use crate::error::{Error, Result};
use gorae_order::process::{Seccomp, SeccompProfile};
use gorae_proto::cri::{self, security_profile::ProfileType};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The largest profile file, in bytes.
const MAX_PROFILE: u64 = gorae_seccomp::LARGEST_PROFILE as u64;

/// Builds the filter for a process with this bounding set; `None` when the container is unconfined.
///
/// # Errors
/// `InvalidArgument` for a broken profile, `NotFound` for a missing file.
pub fn build(security: &cri::LinuxContainerSecurityContext, bounding: u64) -> Result<Option<Seccomp>> {
    if security.privileged {
        return Ok(None);
    }
    match asked(security)? {
        Asked::Nothing => Ok(None),
        Asked::BuiltIn => {
            let filter = gorae_seccomp::default_filter(bounding);
            Ok(Some(Seccomp { filter, profile: SeccompProfile::BuiltIn }))
        }
        Asked::File(path) => {
            let text = read(path)?;
            let filter = gorae_seccomp::from_profile_json(&text, bounding)
                .map_err(|e| Error::invalid(format!("seccomp profile {path}: {e}")))?;
            Ok(Some(Seccomp { filter, profile: SeccompProfile::Text(text) }))
        }
    }
}

/// Which profile a request names.
enum Asked<'a> {
    Nothing,
    BuiltIn,
    File(&'a str),
}

#[allow(deprecated)]
fn asked(security: &cri::LinuxContainerSecurityContext) -> Result<Asked<'_>> {
    if let Some(asked) = &security.seccomp {
        return Ok(match profile::kind("seccomp", asked)? {
            ProfileType::Unconfined => Asked::Nothing,
            ProfileType::RuntimeDefault => Asked::BuiltIn,
            ProfileType::Localhost => Asked::File(profile::without_prefix(&asked.localhost_ref)),
        });
    }
    match security.seccomp_profile_path.as_str() {
        "" | "unconfined" => Ok(Asked::Nothing),
        "runtime/default" | "docker/default" => Ok(Asked::BuiltIn),
        path => match path.strip_prefix("localhost/") {
            Some(file) => Ok(Asked::File(profile::without_prefix(file))),
            None => Err(Error::invalid(format!("seccomp_profile_path: {path:?} is not a known kind of profile"))),
        },
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("seccomp: localhost_ref {path:?} is not an absolute path")));
    }
    let failed = |e: std::io::Error| Error::io("read seccomp profile", Path::new(path), &e);
    // Non-blocking: if the file is a FIFO, opening it must not block this thread.
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

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{LinuxContainerSecurityContext, SecurityProfile};

    fn with(profile: Option<SecurityProfile>, privileged: bool) -> LinuxContainerSecurityContext {
        LinuxContainerSecurityContext { seccomp: profile, privileged, ..Default::default() }
    }

    #[test]
    fn nothing_is_unconfined_and_an_empty_profile_is_the_default_one() {
        assert!(build(&with(None, false), 0).expect("fine").is_none());
        assert!(build(&with(Some(SecurityProfile::default()), false), 0).expect("fine").is_some());
        assert!(build(&with(Some(SecurityProfile::default()), true), 0).expect("privileged").is_none());
    }

    #[test]
    fn broken_references_are_refused() {
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
            assert!(build(&with(Some(bad.clone()), false), 0).is_err(), "{bad:?}");
        }
        assert!(build(&with(Some(profile(2, "/dev/zero")), false), 0).is_err());
    }
}
