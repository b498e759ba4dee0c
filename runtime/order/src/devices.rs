// SPDX-License-Identifier: Apache-2.0
//! Device nodes, and the rules for access to devices.

/// A device node or pipe that is made in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path inside the root, absolute and clean.
    pub path: String,
    /// The kind of node.
    pub node: Node,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner's user id inside; `None`: the user of the process.
    pub uid: Option<u32>,
    /// The group id inside; `None`: the group of the process.
    pub gid: Option<u32>,
}

/// The kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A character device with these numbers.
    Character(u32, u32),
    /// A block device with these numbers.
    Block(u32, u32),
    /// A pipe.
    Fifo,
}

/// A rule that allows or denies access to devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether the access is allowed.
    pub allow: bool,
    /// The kind of device.
    pub kind: DeviceKind,
    /// The major number; `None`: any.
    pub major: Option<u32>,
    /// The minor number; `None`: any.
    pub minor: Option<u32>,
    /// The kinds of access.
    pub access: DeviceAccess,
}

/// The kind of device that a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// Kinds of access to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceAccess {
    /// Opening it to read.
    pub read: bool,
    /// Opening it to write.
    pub write: bool,
    /// Making a node for it.
    pub make: bool,
}

impl DeviceKind {
    /// The letter in rules of the OCI and cgroup v1.
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
    /// Only making a node.
    pub const MAKE: Self = Self { read: false, write: false, make: true };

    /// Parses a combination of the letters `r`, `w` and `m`; `None` for any other letter, and for more than three.
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
