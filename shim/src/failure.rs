// SPDX-License-Identifier: Apache-2.0
//! The shim's only error type: the wire's [`Failure`], built where the failure occurs.
//!
//! Every failure names the step, the object and the kernel's error. So it crosses the fault channel (from a forked
//! child to the shim) and the socket (from the shim to the daemon) unchanged.

pub use gorae_proto::shim::Failure;
pub use gorae_proto::shim::failure::Kind;
use std::io;

/// A result whose error can be sent unchanged.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure that the kernel reported: `step` was tried on `object` and failed with `error`.
pub fn kernel(step: &'static str, object: impl Into<String>, error: impl Into<io::Error>) -> Failure {
    let (object, error) = (object.into(), error.into());
    let errno = error.raw_os_error().unwrap_or(0);
    let message = format!("{step} {object}: {}", describe(&error));
    Failure { kind: kind_of(errno).into(), step: step.into(), object, errno, message }
}

/// A refusal of our own; `why` completes the sentence.
pub fn refused(kind: Kind, step: &'static str, object: impl Into<String>, why: &str) -> Failure {
    let object = object.into();
    let message = format!("{step} {object}: {why}");
    Failure { kind: kind.into(), step: step.into(), object, errno: 0, message }
}

/// The kind for an errno when nothing more is known about the step.
pub fn kind_of(errno: i32) -> Kind {
    match errno {
        libc::ENOENT | libc::ESRCH => Kind::NotFound,
        libc::EINVAL | libc::ENAMETOOLONG | libc::ELOOP | libc::ENOTDIR | libc::E2BIG | libc::ENOEXEC => {
            Kind::InvalidArgument
        }
        libc::EEXIST => Kind::AlreadyExists,
        libc::ENOSPC | libc::EDQUOT | libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM => {
            Kind::ResourceExhausted
        }
        libc::EPERM | libc::EACCES | libc::EROFS => Kind::PermissionDenied,
        libc::ENOSYS | libc::EOPNOTSUPP | libc::ENODEV => Kind::Unimplemented,
        libc::ETIMEDOUT => Kind::DeadlineExceeded,
        _ => Kind::Internal,
    }
}

/// The kernel's text without Rust's "(os error N)", in lower case.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_step_object_and_the_kernels_answer() {
        let failure = kernel("mount", "/data", io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(failure.message, "mount /data: no such file or directory");
        assert_eq!((failure.kind(), failure.errno), (Kind::NotFound, libc::ENOENT));
    }

    #[test]
    fn a_refusal_has_no_errno() {
        let failure = refused(Kind::InvalidArgument, "check user", "bob", "not in /etc/passwd of the image");
        assert_eq!(failure.message, "check user bob: not in /etc/passwd of the image");
        assert_eq!(failure.errno, 0);
    }
}
