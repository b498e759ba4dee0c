// SPDX-License-Identifier: Apache-2.0
//! Handles of namespaces and of children, each opened so that it cannot refer to a different one.

use crate::failure::{self, Result};
use gorae_kernel::process::ProcessId;
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;

/// Opens a namespace file.
///
/// # Errors
/// The kernel's error, with the file.
pub fn open_file(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failure::kernel("open namespace", path, e))
}

/// Opens a process's namespace through a handle of its directory in /proc: the pid may have been reused since it was
/// recorded, and must not be while the file is opened.
///
/// # Errors
/// The kernel's error; `FailedPrecondition` when the pid now belongs to another process.
pub fn open_of_process(process: ProcessId, name: &str) -> Result<OwnedFd> {
    let object = || format!("/proc/{}/ns/{name}", process.pid());
    let fail = |e: io::Error| failure::kernel("open namespace", object(), e);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(format!("/proc/{}", process.pid()), flags, Mode::empty()).map_err(|e| fail(e.into()))?;
    if !process.is_in(&directory).map_err(fail)? {
        let why = "the process has ended and its pid was reused";
        return Err(failure::refused(failure::Kind::FailedPrecondition, "open namespace", object(), why));
    }
    openat(&directory, format!("ns/{name}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| fail(e.into()))
}

/// Opens a pidfd of a child that a middle process made for us. Nothing else reaps it, so its pid cannot have been
/// reused.
///
/// # Errors
/// The kernel's error, with the pid.
pub fn pidfd_of_child(pid: i32) -> Result<OwnedFd> {
    let fail = |e: rustix::io::Errno| failure::kernel("pidfd_open", pid.to_string(), e);
    let raw = Pid::from_raw(pid).ok_or_else(|| fail(rustix::io::Errno::SRCH))?;
    pidfd_open(raw, PidfdFlags::empty()).map_err(fail)
}
