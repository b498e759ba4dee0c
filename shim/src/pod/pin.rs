// SPDX-License-Identifier: Apache-2.0
//! Pins that somebody took away, made again from a process that lives in the namespace.
//!
//! A process is told by number and start time and looked at through a handle, so that it is never another one. Which
//! namespace it is in is its own choice where it may make some: only the very one that was pinned counts.

use super::lock::lock;
use super::namespaces::{self, KINDS};
use crate::failure::{self, Kind, Result};
use crate::state;
use crate::wire::{Member, Pin, PinPod};
use rustix::fs::{Mode, OFlags, fstat, open, openat};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Most processes that are looked at.
const MOST_MEMBERS: usize = 64;

/// Makes the pins again, all or none.
///
/// - Errors: `FailedPrecondition` with the kind when none of the processes is in that namespace.
pub fn pin(request: &PinPod) -> Result<()> {
    let run_dir = Path::new(&request.run_dir);
    let _lock = lock(run_dir)?;
    let members: Vec<OwnedFd> = request.members.iter().take(MOST_MEMBERS).filter_map(open_member).collect();
    let found = request.pins.iter().map(|pin| Ok((pin.kind.as_str(), find(pin, &members)?)));
    let found: Vec<(&str, OwnedFd)> = found.collect::<Result<_>>()?;
    namespaces::make_pin_dir(run_dir)?;
    for (kind, namespace) in found {
        namespaces::detach(&namespaces::pin_path(run_dir, kind))?;
        namespaces::pin_file(run_dir, kind, Path::new(&format!("/proc/self/fd/{}", namespace.as_raw_fd())))?;
    }
    Ok(())
}

/// A handle of a process's directory in /proc; `None` when that process has ended.
fn open_member(member: &Member) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = open(format!("/proc/{}", member.pid), flags, Mode::empty()).ok()?;
    let same = member.start_ticks != 0 && state::start_ticks_in(process.as_fd()) == member.start_ticks;
    same.then_some(process)
}

fn find(pin: &Pin, members: &[OwnedFd]) -> Result<OwnedFd> {
    if !KINDS.contains(&pin.kind.as_str()) {
        return Err(failure::refused(Kind::InvalidArgument, "pin namespace", &pin.kind, "no kind of a pod's"));
    }
    let of = |process: &OwnedFd| {
        let name = format!("ns/{}", pin.kind);
        let namespace = openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        (fstat(&namespace).ok()?.st_ino == pin.inode).then_some(namespace)
    };
    members.iter().find_map(of).ok_or_else(|| {
        let why = format!("none of {} processes that were told of is in it", members.len());
        failure::refused(Kind::FailedPrecondition, "pin namespace", &pin.kind, &why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn own(start_ticks: u64) -> Member {
        Member { pid: std::process::id(), start_ticks }
    }

    fn ticks() -> u64 {
        state::start_ticks(std::process::id() as i32)
    }

    fn own_net() -> u64 {
        std::fs::metadata("/proc/self/ns/net").unwrap().ino()
    }

    #[test]
    fn only_the_process_that_is_meant_is_a_member() {
        assert!(open_member(&own(ticks())).is_some());
        assert!(open_member(&own(ticks() + 1)).is_none(), "another one has its number");
        assert!(open_member(&own(0)).is_none(), "nobody has noted when it was started");
        assert!(open_member(&Member { pid: u32::MAX, start_ticks: 1 }).is_none());
    }

    #[test]
    fn only_the_namespace_that_was_pinned_is_found() {
        let members: Vec<_> = [open_member(&own(ticks())).unwrap()].into();
        let pin = |kind: &str, inode| Pin { kind: kind.into(), inode };
        assert!(find(&pin("net", own_net()), &members).is_ok());
        for (pin, why) in [(pin("net", own_net() + 1), "none of 1"), (pin("../../1/ns/net", own_net()), "no kind")] {
            let message = find(&pin, &members).unwrap_err().message;
            assert!(message.contains(why), "{message}");
        }
        assert!(find(&pin("net", own_net()), &[]).is_err());
    }

    #[test]
    fn without_a_member_nothing_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let pins = vec![Pin { kind: "net".into(), inode: own_net() }];
        let run_dir = dir.path().to_string_lossy().into_owned();
        let request = PinPod { run_dir, pins, members: vec![own(ticks() + 1)], ..Default::default() };
        assert_eq!(pin(&request).unwrap_err().kind(), Kind::FailedPrecondition);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
