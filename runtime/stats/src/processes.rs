// SPDX-License-Identifier: Apache-2.0
//! Descriptors, sockets and limits of a container's processes. Only metrics need them.

use super::group::read_path;
use rustix::fs::{CWD, Dir, Mode, OFlags};

/// Most processes that are inspected, and most descriptors in total. The counts stop there, because each costs a system
/// call and the container decides how many it has.
const MOST_PROCESSES: usize = 256;
const MOST_DESCRIPTORS: u64 = 16_384;

/// Totals over the processes of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) descriptors: u64,
    pub(super) sockets: u64,
}

/// Counts the entries of each process's /proc/PID/fd. Processes that have exited in the meantime are not counted.
pub(super) fn held(pids: &[u32]) -> Held {
    pids.iter().take(MOST_PROCESSES).fold(Held::default(), |held, pid| count(*pid, held))
}

fn count(pid: u32, mut held: Held) -> Held {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty()) else { return held };
    let Ok(mut entries) = Dir::new(dir) else { return held };
    let mut target = [0u8; 8];
    while let Some(Ok(entry)) = entries.next() {
        if held.descriptors >= MOST_DESCRIPTORS {
            break;
        }
        let name = entry.file_name();
        if !name.to_bytes()[0].is_ascii_digit() {
            continue;
        }
        held.descriptors += 1;
        let read = entries.fd().and_then(|dir| rustix::fs::readlinkat_raw(dir, name, &mut target));
        // The link text is cut to the length of the buffer.
        if read.is_ok() && target == *b"socket:[" {
            held.sockets += 1;
        }
    }
    held
}

/// A process's soft limit on open files; `None` when it is unlimited or the process has exited.
pub(super) fn open_files_limit(pid: u32) -> Option<u64> {
    let text = read_path(&format!("/proc/{pid}/limits"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_and_sockets_of_a_process_are_counted() {
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .stdin(std::process::Stdio::from(std::os::fd::OwnedFd::from(
                std::os::unix::net::UnixStream::pair().unwrap().0,
            )))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let held = held(&[child.id(), u32::MAX]);
        let limit = open_files_limit(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(held.sockets, 1);
        assert!(held.descriptors >= 3, "{held:?}");
        assert!(limit.unwrap() > 100);
    }
}
