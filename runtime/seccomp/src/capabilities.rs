// SPDX-License-Identifier: Apache-2.0
//! Linux capabilities: their names, and the five sets of a container's first process.
//!
//! Owns the rule that turns `add`, `drop` and `add_ambient` into sets. It never asks the kernel: the shim drops what
//! the node itself does not hold, with a note.
//!
//! Invariants: inheritable equals ambient, so a binary of the image with inheritable file capabilities gains nothing;
//! ambient ⊆ permitted = effective = bounding.

/// Names by bit, without `CAP_`. Source: linux/capability.h.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Every capability of [`NAMES`].
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// A container's capabilities when the request names none: the 14 that images have come to rely on.
pub const DEFAULT: u64 = mask("CHOWN")
    | mask("DAC_OVERRIDE")
    | mask("FOWNER")
    | mask("FSETID")
    | mask("KILL")
    | mask("SETGID")
    | mask("SETUID")
    | mask("SETPCAP")
    | mask("NET_BIND_SERVICE")
    | mask("NET_RAW")
    | mask("SYS_CHROOT")
    | mask("MKNOD")
    | mask("AUDIT_WRITE")
    | mask("SETFCAP");

/// The capabilities of a request, as lists of names in any case, with or without `CAP_`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// `add_capabilities` of the CRI; "ALL" adds every capability.
    pub add: &'a [String],
    /// `drop_capabilities`.
    pub drop: &'a [String],
    /// `add_ambient_capabilities`.
    pub add_ambient: &'a [String],
}

/// The five sets of a process; bit n is capability n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// The capabilities that it and its children can ever have.
    pub bounding: u64,
    /// The capabilities that the kernel checks.
    pub effective: u64,
    /// The capabilities that it can make effective.
    pub permitted: u64,
    /// The capabilities that a program with inheritable file capabilities keeps.
    pub inheritable: u64,
    /// The capabilities that any program keeps.
    pub ambient: u64,
}

/// A name that is not a capability. InvalidArgument for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {name:?} in {list}")]
pub struct UnknownCapability {
    /// The name as sent, cut to 64 characters.
    pub name: String,
    /// The request's field.
    pub list: &'static str,
}

/// The mask of one capability of [`NAMES`], for constants: an unknown name fails the build.
pub const fn mask(name: &str) -> u64 {
    let mut bit = 0;
    while bit < NAMES.len() {
        if same(NAMES[bit].as_bytes(), name.as_bytes()) {
            return 1 << bit;
        }
        bit += 1;
    }
    panic!("no such capability")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// The bit of a name in any case, with or without `CAP_`; `None` when no such capability exists.
pub fn bit(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name).map(|bit| bit as u32)
}

/// The names in a mask, with `CAP_`, lowest bit first. Bits without a name are skipped.
pub fn names(mask: u64) -> impl Iterator<Item = String> {
    (0..).zip(NAMES).filter(move |(bit, _)| mask & (1 << bit) != 0).map(|(_, name)| format!("CAP_{name}"))
}

/// Computes the sets of a container's first process.
///
/// - Shapes: "ALL" (any case) in `add` or `drop` is applied first, then single adds, then single drops: a dropped name
///   is gone even when it is also added. Ambient names are adds that reach all five sets; a drop removes them again.
///   `privileged` grants everything and ignores drops.
/// - Source: CRI `Capability`; capabilities(7).
///
/// # Errors
/// [`UnknownCapability`] for the first unknown name in any list, also when privileged.
pub fn effective(request: Request<'_>, privileged: bool) -> Result<Sets, UnknownCapability> {
    let add = Named::parse(request.add, "add_capabilities")?;
    let drop = Named::parse(request.drop, "drop_capabilities")?;
    let ambient = Named::parse(request.add_ambient, "add_ambient_capabilities")?;
    let start = if privileged {
        ALL
    } else if drop.all {
        0
    } else if add.all {
        ALL
    } else {
        DEFAULT
    };
    let dropped = if privileged { 0 } else { drop.single };
    let ambient = ambient.everything() & !dropped;
    let held = (start | add.single | ambient) & !dropped;
    Ok(Sets { bounding: held, effective: held, permitted: held, inheritable: ambient, ambient })
}

/// One list of a request: the word "ALL" separate from the single names.
#[derive(Debug)]
struct Named {
    all: bool,
    single: u64,
}

impl Named {
    fn parse(names: &[String], list: &'static str) -> Result<Self, UnknownCapability> {
        let mut found = Self { all: false, single: 0 };
        for name in names {
            if name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL") {
                found.all = true;
                continue;
            }
            let bit = bit(name).ok_or_else(|| UnknownCapability { name: name.chars().take(64).collect(), list })?;
            found.single |= 1 << bit;
        }
        Ok(found)
    }

    fn everything(&self) -> u64 {
        if self.all { ALL } else { self.single }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sets for three lists of names.
    fn given(lists: [&[&str]; 3], privileged: bool) -> Result<Sets, UnknownCapability> {
        let [add, drop, add_ambient] =
            lists.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        effective(Request { add: &add, drop: &drop, add_ambient: &add_ambient }, privileged)
    }

    /// The bounding set for a request that is not privileged.
    fn held(add: &[&str], drop: &[&str], ambient: &[&str]) -> u64 {
        given([add, drop, ambient], false).unwrap().bounding
    }

    #[test]
    fn names_and_bits_agree_with_the_kernels_numbers() {
        for (name, number) in [("CHOWN", 0), ("NET_ADMIN", 12), ("SYS_ADMIN", 21), ("SYSLOG", 34), ("BPF", 39)] {
            assert_eq!(bit(name), Some(number), "{name}");
        }
        assert_eq!(bit("cap_checkpoint_restore"), Some(40));
        assert_eq!(names(1 << 21 | 1 << 60).collect::<Vec<_>>(), ["CAP_SYS_ADMIN"]);
        assert_eq!((ALL.count_ones(), DEFAULT.count_ones()), (41, 14));
    }

    #[test]
    fn nothing_said_gives_the_default_set_with_nothing_inheritable() {
        let sets = effective(Request::default(), false).unwrap();
        assert_eq!((sets.bounding, sets.effective, sets.permitted), (DEFAULT, DEFAULT, DEFAULT));
        assert_eq!((sets.inheritable, sets.ambient), (0, 0));
    }

    #[test]
    fn add_and_drop_follow_the_cri_order() {
        let net_admin = mask("NET_ADMIN");
        let table: [(&[&str], &[&str], u64); 9] = [
            (&["NET_ADMIN"], &[], DEFAULT | net_admin),
            (&["cap_net_admin"], &[], DEFAULT | net_admin),
            (&[], &["Chown", "CAP_KILL"], DEFAULT & !mask("CHOWN") & !mask("KILL")),
            (&["ALL"], &[], ALL),
            (&["all"], &["NET_ADMIN"], ALL & !net_admin),
            (&[], &["ALL"], 0),
            (&["NET_ADMIN"], &["all"], net_admin),
            (&["ALL", "NET_ADMIN"], &["ALL"], net_admin),
            (&["NET_ADMIN"], &["NET_ADMIN"], DEFAULT),
        ];
        for (add, drop, expected) in table {
            assert_eq!(held(add, drop, &[]), expected, "add {add:?} drop {drop:?}");
        }
    }

    #[test]
    fn ambient_capabilities_reach_all_five_sets_unless_dropped() {
        let bind = mask("NET_BIND_SERVICE");
        let sets = given([&[], &["ALL"], &["NET_BIND_SERVICE"]], false).unwrap();
        assert_eq!([sets.bounding, sets.effective, sets.permitted, sets.inheritable, sets.ambient], [bind; 5]);
        let sets = given([&[], &["NET_BIND_SERVICE"], &["NET_BIND_SERVICE"]], false).unwrap();
        assert_eq!((sets.ambient, sets.bounding & bind), (0, 0));
    }

    #[test]
    fn privileged_gives_everything_whatever_is_dropped() {
        let sets = given([&[], &["ALL", "SYS_ADMIN"], &[]], true).unwrap();
        assert_eq!((sets.bounding, sets.effective, sets.permitted, sets.inheritable), (ALL, ALL, ALL, 0));
    }

    #[test]
    fn an_unknown_name_is_refused_with_its_list_named() {
        let table: [([&[&str]; 3], &str); 3] = [
            ([&["NET_ADMIM"], &[], &[]], "add_capabilities"),
            ([&[], &[""], &[]], "drop_capabilities"),
            ([&[], &[], &["CAP_CAP_KILL"]], "add_ambient_capabilities"),
        ];
        for (lists, list) in table {
            assert_eq!(given(lists, false).unwrap_err().list, list);
            assert!(given(lists, true).is_err());
        }
    }
}
