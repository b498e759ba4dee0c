// SPDX-License-Identifier: Apache-2.0
//! Device nodes, and the rules of what a container may do with devices.

/// A node that is made in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Inside the root, absolute and clean.
    pub path: String,
    /// What it is.
    pub node: Node,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner inside; `None`: the process.
    pub uid: Option<u32>,
    /// The group inside; `None`: the process's.
    pub gid: Option<u32>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A character device with these numbers.
    Character(u32, u32),
    /// A block device with these numbers.
    Block(u32, u32),
    /// A pipe.
    Fifo,
}

/// A rule of what may be done with devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it may be done.
    pub allow: bool,
    /// With which kind.
    pub kind: DeviceKind,
    /// With which major number; `None`: any.
    pub major: Option<u32>,
    /// With which minor number; `None`: any.
    pub minor: Option<u32>,
    /// What.
    pub access: DeviceAccess,
}

/// Which devices a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// What can be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceAccess {
    /// Opening it to read.
    pub read: bool,
    /// Opening it to write.
    pub write: bool,
    /// Making a node of it.
    pub make: bool,
}

impl DeviceKind {
    /// The letter in rules of the OCI and of cgroup v1.
    pub fn letter(self) -> &'static str {
        match self {
            Self::All => "a",
            Self::Character => "c",
            Self::Block => "b",
        }
    }
}

impl DeviceAccess {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, make: true };
    /// Making a node alone.
    pub const MAKE: Self = Self { read: false, write: false, make: true };

    /// Reads some of the letters `r`, `w` and `m`; `None` for another letter, and for more than three.
    pub fn parse(letters: &str) -> Option<Self> {
        let known = letters.len() <= 3 && letters.bytes().all(|letter| b"rwm".contains(&letter));
        let has = |letter| letters.contains(letter);
        known.then(|| Self { read: has('r'), write: has('w'), make: has('m') })
    }

    /// The letters.
    pub fn letters(self) -> String {
        [(self.read, 'r'), (self.write, 'w'), (self.make, 'm')]
            .iter()
            .filter(|(can, _)| *can)
            .map(|(_, l)| *l)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_in_any_order_and_written_in_one() {
        for (read, written) in [("rwm", "rwm"), ("mr", "rm"), ("w", "w"), ("", "")] {
            assert_eq!(DeviceAccess::parse(read).map(DeviceAccess::letters).as_deref(), Some(written));
        }
        assert_eq!(["rx", "rwmr", "R", "é"].map(DeviceAccess::parse), [None; 4]);
    }
}
