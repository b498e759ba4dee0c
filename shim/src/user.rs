// SPDX-License-Identifier: Apache-2.0
//! Resolves the user of a container's process. Names are looked up in the image's own /etc/passwd and /etc/group.
//!
//! Both files are untrusted: they are read by handle, as bytes, up to `MAX_FILE` of them. A user or group that looks like a
//! number is treated as one or refused, and never looked up by name, so that nothing in the image can make `1000`, `-1` or
//! `4294967296` mean root.

use crate::failure::{self, Kind, Result};
use crate::malformed::{self, Malformed};
use crate::rootfs::Root;
use crate::wire;
use std::collections::HashSet;

/// Largest file that is read, in bytes: larger than any real user database, and small enough to read at each start.
const MAX_FILE: usize = 10 << 20;

/// Most supplementary groups that the kernel accepts.
const MAX_GROUPS: usize = 65_536;

/// The requested user; root by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    user: Named,
    /// `None`: the user's group in passwd, or else root's.
    group: Option<Named>,
    supplemental_gids: Vec<u32>,
    /// Whether `supplemental_gids` are the only ones; the memberships in the image are then ignored.
    strict_groups: bool,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Id(u32),
    /// Contains more than digits, signs and spaces.
    Name(String),
}

impl Default for Named {
    fn default() -> Self {
        Self::Id(0)
    }
}

impl Named {
    fn checked(field: &str, text: String) -> malformed::Result<Self> {
        if !text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || c == '+' || c == '-') {
            return Ok(Self::Name(text));
        }
        let id = parse_id(text.as_bytes());
        id.map(Self::Id).ok_or_else(|| Malformed::new(field, format!("{text:?} is not an id")))
    }
}

impl Account {
    /// Checks the message.
    ///
    /// # Errors
    /// For text that looks like a number but is not an id.
    pub fn checked(user: wire::User) -> malformed::Result<Self> {
        let named = |field, text: String| match text.is_empty() {
            true => Ok(None),
            false => Named::checked(field, text).map(Some),
        };
        Ok(Self {
            user: named("user", user.user)?.unwrap_or_default(),
            group: named("group", user.group)?,
            supplemental_gids: user.supplemental_gids,
            strict_groups: user.strict_groups,
        })
    }
}

/// A resolved identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User id inside the container.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups without duplicates, the primary one first.
    pub gids: Vec<u32>,
    /// The home directory in passwd; "/" when the user is not listed or has none.
    pub home: Vec<u8>,
}

struct PasswdEntry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

/// Looks up `asked` in the user database of the root.
///
/// - Source: CRI `run_as_user`, `run_as_username`, `run_as_group`, `supplemental_groups(_policy)`.
///
/// # Errors
/// `NotFound` for an unknown name.
pub fn resolve(root: &Root, asked: &Account) -> Result<User> {
    let passwd = root.read(b"/etc/passwd", MAX_FILE)?.unwrap_or_default();
    let needs_groups = !asked.strict_groups || matches!(asked.group, Some(Named::Name(_)));
    let group = if needs_groups { root.read(b"/etc/group", MAX_FILE)?.unwrap_or_default() } else { Vec::new() };
    resolve_in(&passwd, &group, asked)
}

fn resolve_in(passwd: &[u8], group: &[u8], asked: &Account) -> Result<User> {
    let (uid, entry) = match &asked.user {
        Named::Id(uid) => (*uid, passwd_entries(passwd).find(|e| e.uid == *uid)),
        Named::Name(name) => {
            let entry = passwd_entries(passwd).find(|e| e.name == name.as_bytes());
            let entry = entry.ok_or_else(|| not_found("look up user", name, "/etc/passwd"))?;
            (entry.uid, Some(entry))
        }
    };
    let gid = match (&asked.group, &entry) {
        (None, Some(entry)) => entry.gid,
        (None, None) => 0,
        (Some(Named::Id(gid)), _) => *gid,
        (Some(Named::Name(name)), _) => {
            group_id(group, name).ok_or_else(|| not_found("look up group", name, "/etc/group"))?
        }
    };
    let member = entry.as_ref().filter(|_| !asked.strict_groups);
    let of_image = member.into_iter().flat_map(|entry| memberships(group, entry.name));
    let gids = [gid].into_iter().chain(of_image).chain(asked.supplemental_gids.iter().copied());
    let mut seen = HashSet::new();
    let gids = gids.filter(|gid| seen.insert(*gid)).take(MAX_GROUPS).collect();
    let home = entry.map(|e| e.home.to_vec()).filter(|h| !h.is_empty()).unwrap_or_else(|| b"/".to_vec());
    Ok(User { uid, gid, gids, home })
}

fn not_found(step: &'static str, name: &str, file: &str) -> failure::Failure {
    failure::refused(Kind::NotFound, step, format!("{name:?}"), &format!("not in {file} of the image"))
}

/// Parses a decimal id. The kernel's "no id" (all ones) is not valid.
fn parse_id(text: &[u8]) -> Option<u32> {
    let id: u32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (text.iter().all(u8::is_ascii_digit) && id != u32::MAX).then_some(id)
}

fn passwd_entries(passwd: &[u8]) -> impl Iterator<Item = PasswdEntry<'_>> {
    passwd.split(|&b| b == b'\n').filter_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (parse_id(fields.nth(1)?)?, parse_id(fields.next()?)?);
        Some(PasswdEntry { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

/// Name, id and members of each group.
fn group_entries(group: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    group.split(|&b| b == b'\n').filter_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = parse_id(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn group_id(group: &[u8], name: &str) -> Option<u32> {
    group_entries(group).find(|(n, _, _)| *n == name.as_bytes()).map(|(_, gid, _)| gid)
}

fn memberships<'a>(group: &'a [u8], user: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
    let is_member = move |members: &[u8]| members.split(|&b| b == b',').any(|m| m == user);
    group_entries(group).filter(move |(_, _, members)| is_member(members)).map(|(_, gid, _)| gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nbob:x:1000:100:Bob:/home/bob:/bin/sh\n\
        4294967296:x:0:0::/:\n-1:x:0:0::/:\n+0:x:0:0::/:\n 0:x:0:0::/:\n1 :x:0:0::/:\nbroken\n:x:0:0::/:\nnobody:x:65534:65534\n";
    const GROUP: &[u8] = b"root:x:0:\nusers:x:100:\nwheel:x:10:alice,bob\naudio:x:11:bob\nvideo:x:12:bobby\n";

    fn asked(user: &str, group: &str, extra: &[u32], strict: bool) -> malformed::Result<Account> {
        let (user, group) = (user.to_owned(), group.to_owned());
        Account::checked(wire::User { user, group, supplemental_gids: extra.to_vec(), strict_groups: strict })
    }

    fn found(passwd: &[u8], group: &[u8], asked: malformed::Result<Account>) -> Result<User> {
        resolve_in(passwd, group, &asked?)
    }

    #[test]
    fn each_way_to_name_a_user_gives_its_ids() {
        type Row = (&'static str, &'static str, &'static [u32], bool, u32, &'static [u32]);
        let rows: [Row; 8] = [
            ("", "", &[], false, 0, &[0]),
            ("bob", "", &[], false, 1000, &[100, 10, 11]),
            ("1000", "", &[], false, 1000, &[100, 10, 11]),
            ("bob", "", &[7, 10], true, 1000, &[100, 7, 10]),
            ("bob", "wheel", &[], true, 1000, &[10]),
            ("bob", "5", &[5], false, 1000, &[5, 10, 11]),
            ("4242", "", &[], false, 4242, &[0]),
            ("nobody", "", &[], false, 65534, &[65534]),
        ];
        for (user, group, extra, strict, uid, gids) in rows {
            let got = found(PASSWD, GROUP, asked(user, group, extra, strict)).expect(user);
            assert_eq!((got.uid, got.gid, &got.gids[..]), (uid, gids[0], gids), "{user}:{group}");
        }
    }

    #[test]
    fn a_group_file_as_large_as_allowed_is_gone_through_once() {
        let lines = |from: u32| (from..from + 300_000).map(|gid| format!("g:x:{gid}:bob\n")).collect::<String>();
        let group = lines(1) + &lines(1);
        assert!(group.len() < MAX_FILE);
        let begun = std::time::Instant::now();
        let gids = found(PASSWD, group.as_bytes(), asked("bob", "", &[], false)).expect("there").gids;
        assert_eq!((gids.len(), &gids[..3]), (MAX_GROUPS, &[100, 1, 2][..]));
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
    }

    #[test]
    fn the_home_directory_is_the_images() {
        assert_eq!(found(PASSWD, GROUP, asked("bob", "", &[], false)).expect("there").home, b"/home/bob");
        assert_eq!(found(PASSWD, GROUP, asked("77", "", &[], false)).expect("number").home, b"/");
        assert_eq!(found(PASSWD, GROUP, asked("nobody", "", &[], false)).expect("there").home, b"/");
    }

    #[test]
    fn no_odd_number_ends_as_root() {
        for (user, kind) in [
            ("4294967296", Kind::InvalidArgument),
            ("4294967295", Kind::InvalidArgument),
            ("18446744073709551616", Kind::InvalidArgument),
            ("-1", Kind::InvalidArgument),
            ("+0", Kind::InvalidArgument),
            (" 0", Kind::InvalidArgument),
            ("1 ", Kind::InvalidArgument),
            ("-", Kind::InvalidArgument),
            ("0x0", Kind::NotFound),
            ("alice", Kind::NotFound),
        ] {
            assert_eq!(found(PASSWD, GROUP, asked(user, "", &[], false)).unwrap_err().kind(), kind, "{user}");
            let group = found(PASSWD, GROUP, asked("bob", user, &[], false)).unwrap_err();
            assert_eq!(group.kind(), kind, "group {user}");
        }
    }
}
