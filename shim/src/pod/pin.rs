// SPDX-License-Identifier: Apache-2.0
//! Restores pins that were removed, from a process that lives in the namespace.
//!
//! A process is identified by pid and start time and accessed through a handle, so it cannot be confused with another. A
//! process that may create namespaces chooses which one it is in, so only the exact namespace that was pinned counts.

use super::lock::lock;
use super::namespaces::{self, KINDS, PinPaths, pin_paths};
use crate::failure::{self, Kind, Result};
use crate::malformed::{self, Malformed, absolute, each};
use crate::wire::{self, PinPod};
use gorae_kernel::process::ProcessId;
use rustix::fs::{Mode, OFlags, fstat, open, openat};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Most processes that are searched.
const MOST_MEMBERS: usize = 64;

/// Pins to restore: a checked [`PinPod`].
#[derive(Debug)]
pub struct Pins {
    run_dir: PathBuf,
    paths: PinPaths,
    pins: Vec<Pin>,
    members: Vec<ProcessId>,
}

/// A pin, and the namespace that it held.
#[derive(Debug)]
struct Pin {
    kind: &'static str,
    inode: u64,
}

impl Pins {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: PinPod) -> Result<Self> {
        Ok(check(request)?)
    }
}

fn check(request: PinPod) -> malformed::Result<Pins> {
    let pin = |pin: wire::Pin| {
        let kind = KINDS.into_iter().find(|kind| *kind == pin.kind);
        let kind = kind.ok_or_else(|| Malformed::new("kind", format!("{:?} is not a pinned kind", pin.kind)))?;
        Ok(Pin { kind, inode: pin.inode })
    };
    let run_dir = PathBuf::from(absolute("run_dir", request.run_dir)?);
    Ok(Pins {
        paths: pin_paths(&run_dir, request.netns)?,
        run_dir,
        pins: each("pins", request.pins, pin)?,
        members: request.members.iter().filter_map(|m| ProcessId::from_wire(m.pid, m.start_ticks)).collect(),
    })
}

/// Restores the pins, all or none.
///
/// # Errors
/// `FailedPrecondition`, with the kind, when none of the processes is in that namespace.
pub fn pin(request: &Pins) -> Result<()> {
    let _lock = lock(&request.run_dir)?;
    let paths = &request.paths;
    let members: Vec<OwnedFd> = request.members.iter().take(MOST_MEMBERS).filter_map(open_member).collect();
    let found = request.pins.iter().map(|pin| Ok((pin.kind, find(pin, &members)?)));
    let found: Vec<(&str, OwnedFd)> = found.collect::<Result<_>>()?;
    namespaces::make_pin_dir(paths)?;
    for (kind, namespace) in found {
        namespaces::detach(&paths.of(kind))?;
        namespaces::pin_file(paths, kind, Path::new(&format!("/proc/self/fd/{}", namespace.as_raw_fd())))?;
    }
    Ok(())
}

/// Opens a handle of a process's directory in /proc; `None` when that process has ended.
fn open_member(member: &ProcessId) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = open(format!("/proc/{}", member.pid()), flags, Mode::empty()).ok()?;
    member.is_in(&process).ok()?.then_some(process)
}

fn find(pin: &Pin, members: &[OwnedFd]) -> Result<OwnedFd> {
    let of = |process: &OwnedFd| {
        let name = format!("ns/{}", pin.kind);
        let namespace = openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        (fstat(&namespace).ok()?.st_ino == pin.inode).then_some(namespace)
    };
    members.iter().find_map(of).ok_or_else(|| {
        let why = format!("none of {} known processes is in this namespace", members.len());
        failure::refused(Kind::FailedPrecondition, "pin namespace", pin.kind, &why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Member;
    use std::os::unix::fs::MetadataExt;

    fn own() -> ProcessId {
        ProcessId::of(std::process::id()).unwrap().unwrap()
    }

    /// A process that had this pid earlier or will have it later.
    fn another() -> ProcessId {
        ProcessId::from_wire(own().pid(), own().start() + 1).unwrap()
    }

    fn members(members: Vec<Member>) -> Vec<ProcessId> {
        Pins::checked(PinPod { run_dir: "/r".into(), members, ..Default::default() }).unwrap().members
    }

    fn own_net() -> u64 {
        std::fs::metadata("/proc/self/ns/net").unwrap().ino()
    }

    #[test]
    fn only_the_process_that_is_meant_is_a_member() {
        assert!(open_member(&own()).is_some());
        assert!(open_member(&another()).is_none(), "its pid was reused");
        assert!(open_member(&ProcessId::from_wire(u32::MAX, 1).unwrap()).is_none());
        let (pid, start_ticks) = ProcessId::to_wire(Some(own()));
        let without_start = Member { pid, start_ticks: 0 };
        assert_eq!(members(vec![Member { pid, start_ticks }, without_start]), [own()]);
    }

    #[test]
    fn only_the_namespace_that_was_pinned_is_found() {
        let members: Vec<_> = [open_member(&own()).unwrap()].into();
        let pin = |inode| Pin { kind: "net", inode };
        assert!(find(&pin(own_net()), &members).is_ok());
        let message = find(&pin(own_net() + 1), &members).unwrap_err().message;
        assert!(message.contains("none of 1"), "{message}");
        assert!(find(&pin(own_net()), &[]).is_err());
        let odd = vec![wire::Pin { kind: "../../1/ns/net".into(), inode: own_net() }];
        let odd = Pins::checked(PinPod { run_dir: "/r".into(), pins: odd, ..Default::default() }).unwrap_err();
        assert!(odd.message.starts_with("check request pins[0].kind: "), "{odd:?}");
    }

    #[test]
    fn without_a_member_nothing_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let pins = vec![wire::Pin { kind: "net".into(), inode: own_net() }];
        let run_dir = dir.path().to_string_lossy().into_owned();
        let (pid, start_ticks) = ProcessId::to_wire(Some(another()));
        let another = Member { pid, start_ticks };
        let request = PinPod { run_dir, pins, members: vec![another], ..Default::default() };
        let request = Pins::checked(request).unwrap();
        assert_eq!(pin(&request).unwrap_err().kind(), Kind::FailedPrecondition);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
