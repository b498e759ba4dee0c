// SPDX-License-Identifier: Apache-2.0
//! The identity of a process. Its pid alone is not enough, because the kernel reuses pids.

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::fd::AsFd;
use std::str::FromStr;

/// A process that cannot be mistaken for a later one with the same pid, until the machine reboots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProcessId {
    /// In the pid namespace of the process that read it.
    pid: NonZeroU32,
    /// Field 22 of /proc/PID/stat.
    start: u64,
}

impl ProcessId {
    /// Identifies the process that has this pid now; `None` when no process has it.
    ///
    /// # Errors
    /// The kernel's error when it cannot find out, for example when no descriptor is free.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        let Some(pid) = NonZeroU32::new(pid) else { return Ok(None) };
        Ok(Stat::read(pid.get())?.and_then(|stat| stat.start()).map(|start| Self { pid, start }))
    }

    /// Builds the identity from its two numbers on the wire, where pid 0 means "none" and start 0 means "unknown".
    pub fn from_wire(pid: u32, start: u64) -> Option<Self> {
        NonZeroU32::new(pid).filter(|_| start != 0).map(|pid| Self { pid, start })
    }

    /// The pid and the start for the wire; zeros for no process.
    pub fn to_wire(process: Option<Self>) -> (u32, u64) {
        process.map_or((0, 0), |process| (process.pid(), process.start))
    }

    /// Its pid, in the pid namespace of the process that read it; never 0.
    pub fn pid(&self) -> u32 {
        self.pid.get()
    }

    /// When it started, in clock ticks since boot.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Whether an open directory /proc/PID is that of this process, and not of a later one with its pid.
    ///
    /// # Errors
    /// The kernel's error when it cannot find out. A process that has ended is not an error.
    pub fn is_in(&self, directory: impl AsFd) -> io::Result<bool> {
        Ok(Stat::read_in(directory)?.and_then(|stat| stat.start()) == Some(self.start))
    }
}

/// The content of /proc/PID/stat.
///
/// - Source: proc_pid_stat(5).
#[derive(Debug, Clone)]
pub struct Stat(String);

impl Stat {
    /// Reads the stat line of a process; `None` when the process does not exist.
    ///
    /// # Errors
    /// The kernel's error when it cannot find out.
    pub fn read(pid: u32) -> io::Result<Option<Self>> {
        Self::from(std::fs::read(format!("/proc/{pid}/stat")))
    }

    /// Reads the stat line of this process, whichever PID namespace the mounted /proc shows.
    ///
    /// # Errors
    /// The kernel's error, for example when /proc is not mounted.
    pub fn own() -> io::Result<Self> {
        std::fs::read("/proc/self/stat").map(|line| Self::of_line(&line))
    }

    /// Like [`Stat::read`], but from an open directory /proc/PID, which never comes to mean another process.
    ///
    /// # Errors
    /// See [`Stat::read`].
    pub fn read_in(process: impl AsFd) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let line = openat(process, "stat", flags, Mode::empty()).map_err(io::Error::from).and_then(|file| {
            let mut line = Vec::with_capacity(512);
            File::from(file).read_to_end(&mut line).map(|_| line)
        });
        Self::from(line)
    }

    fn from(line: io::Result<Vec<u8>>) -> io::Result<Option<Self>> {
        match line {
            Ok(line) => Ok(Some(Self::of_line(&line))),
            Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn of_line(line: &[u8]) -> Self {
        Self(String::from_utf8_lossy(line).into_owned())
    }

    /// A field by its number in the manual, from 3 on. The last ')' ends the command name, which may contain any
    /// character.
    pub fn field(&self, number: usize) -> Option<&str> {
        self.0.trim_end().rsplit_once(") ")?.1.split(' ').nth(number.checked_sub(3)?)
    }

    /// The state letter, such as 'R' or 'Z'.
    pub fn state(&self) -> Option<char> {
        self.field(3)?.chars().next()
    }

    /// Whether the process has ended, even if its parent has not reaped it yet.
    pub fn has_ended(&self) -> bool {
        matches!(self.state(), Some('Z' | 'X'))
    }

    /// `PF_*`, the kernel's flags of the process.
    pub fn flags(&self) -> Option<u32> {
        self.number(9)
    }

    /// How many threads the process has.
    pub fn threads(&self) -> Option<u32> {
        self.number(20)
    }

    /// When the process started, in clock ticks since boot.
    pub fn start(&self) -> Option<u64> {
        self.number(22)
    }

    /// The address at which the heap begins; 0 if the reader lacks the right to see it.
    pub fn heap(&self) -> Option<usize> {
        self.number(47)
    }

    /// The addresses of the arguments; 0 if the reader lacks the right to see them.
    pub fn arguments(&self) -> Option<Range<usize>> {
        Some(self.number(48)?..self.number(49)?)
    }

    /// The addresses of the environment; 0 if the reader lacks the right to see them.
    pub fn environment(&self) -> Option<Range<usize>> {
        Some(self.number(50)?..self.number(51)?)
    }

    /// The wait status of a process that has ended; 0 if the reader lacks the right to see it.
    pub fn wait_status(&self) -> Option<i32> {
        self.number(52)
    }

    fn number<T: FromStr>(&self, number: usize) -> Option<T> {
        self.field(number)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_brackets_hides_no_field() {
        let tail: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        let stat = Stat(format!("7 (a) b ) c) S {}\n", tail.join(" ")));
        assert_eq!((stat.state(), stat.flags(), stat.start()), (Some('S'), Some(9), Some(22)));
        assert_eq!((stat.threads(), stat.heap()), (Some(20), Some(47)));
        assert_eq!((stat.arguments(), stat.environment()), (Some(48..49), Some(50..51)));
        assert_eq!((stat.wait_status(), stat.field(53), stat.field(2)), (Some(52), None, None));
        let cut = Stat("7 (a) S 4 5".to_owned());
        assert_eq!((cut.threads(), cut.heap(), cut.arguments(), cut.environment()), (None, None, None, None));
    }

    #[test]
    fn a_process_is_itself_by_number_and_by_handle_and_one_that_is_gone_is_nobody() {
        let own = ProcessId::of(std::process::id()).expect("readable").expect("it runs");
        let handle = File::open("/proc/self").expect("open");
        assert!(own.is_in(&handle).expect("readable"));
        let later = ProcessId { start: own.start + 1, ..own };
        assert!(!later.is_in(&handle).expect("readable"), "a later process with the same pid");
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let gone = child.id();
        child.wait().expect("reap");
        assert_eq!(ProcessId::of(gone).expect("readable"), None);
    }

    #[test]
    fn no_pid_and_no_start_identify_nobody() {
        assert_eq!([ProcessId::from_wire(0, 5), ProcessId::from_wire(5, 0)], [None; 2]);
        assert_eq!(ProcessId::of(0).expect("no look"), None);
        for numbers in [(0, 0), (5, 7)] {
            assert_eq!(ProcessId::to_wire(ProcessId::from_wire(numbers.0, numbers.1)), numbers);
        }
    }
}
