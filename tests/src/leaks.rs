// SPDX-License-Identifier: Apache-2.0
//! What a node leaves in the kernel and on disk, as lists of lines that can be compared.
//!
//! The namespaces of `tests/run` hold nothing but the test, so every line is ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that is there at one moment: kind of thing → its sorted lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<&'static str, Vec<String>>);

impl Snapshot {
    /// Processes, mounts, network links, addresses, nft rules and cgroups of these namespaces, pinned network namespaces,
    /// what CNI plugins keep of pods, and the files below some directories.
    #[must_use]
    pub fn take(directories: &[&Path]) -> Snapshot {
        let mut all = BTreeMap::new();
        all.insert("process", processes());
        all.insert("mount", mounts());
        all.insert("link", command("ip", &["-o", "link", "show"], link_line));
        all.insert("address", command("ip", &["-o", "address", "show"], address_line));
        all.insert("route", command("ip", &["route", "show"], |l| Some(l.trim().to_owned())));
        all.insert("nft", command("nft", &["list", "ruleset"], |l| Some(l.trim().to_owned())));
        all.insert("cgroup", cgroups());
        all.insert("pinned namespace", crate::cni::pins());
        all.insert("CNI plugin's file", crate::cni::kept());
        let mut files = Vec::new();
        for directory in directories {
            walk(directory, &mut |path| files.push(path.display().to_string()));
        }
        all.insert("file", files);
        for lines in all.values_mut() {
            lines.sort();
        }
        Snapshot(all)
    }

    /// What is in `after` and not in this one, and the other way round, one line each; empty when they are equal.
    #[must_use]
    pub fn difference(&self, after: &Snapshot) -> Vec<String> {
        let none = Vec::new();
        let mut found = Vec::new();
        for (kind, lines) in &after.0 {
            let before = self.0.get(kind).unwrap_or(&none);
            found.extend(surplus(lines, before).map(|line| format!("left behind: {kind} {line}")));
            // A mount goes when another process on the machine removes the directory below it, and a process that does
            // not belong to the test may end at any time: neither is a leak.
            let gone = surplus(before, lines).filter(|_| !["mount", "process"].contains(kind));
            found.extend(gone.map(|line| format!("lost: {kind} {line}")));
        }
        found
    }

    /// True while a link has its other end in another namespace.
    #[must_use]
    pub fn has_pod_interfaces(&self) -> bool {
        self.0.get("link").is_some_and(|links| links.iter().any(|link| link.contains("@if")))
    }

    /// Number of things of a kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.0.get(kind).map_or(0, Vec::len)
    }
}

/// The lines of `a` that `b` has not, each as often as it is too many.
fn surplus<'a>(a: &'a [String], b: &'a [String]) -> impl Iterator<Item = &'a String> {
    let mut left: BTreeMap<&String, usize> = BTreeMap::new();
    for line in b {
        *left.entry(line).or_default() += 1;
    }
    a.iter().filter(move |line| match left.get_mut(line) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    })
}

/// Every process, as `PID COMMAND LINE`; a zombie says so.
fn processes() -> Vec<String> {
    let ids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(process).collect()
}

fn process(id: u32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&line).replace('\0', " ");
    let (name, rest) = status.split_once('(')?.1.rsplit_once(')')?;
    let zombie = if rest.trim_start().starts_with('Z') { " (zombie)" } else { "" };
    Some(format!("{id} {name}{zombie}: {}", words.trim()))
}

/// Every mount of this mount namespace; pinned namespaces are among them.
fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = |l: &str| {
        let kind = l.split(" - ").nth(1)?.split(' ').next()?;
        Some(format!("{kind} on {}", l.split(' ').nth(4)?))
    };
    text.lines().filter_map(line).collect()
}

/// The places of all cgroup hierarchies in which processes can be put by hand.
#[must_use]
pub fn hierarchies() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let place = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let place = words.next()?;
        words.next().filter(|kind| kind.starts_with("cgroup")).map(|_| PathBuf::from(place))
    };
    mounts.lines().filter_map(place).collect()
}

/// Every cgroup, whichever hierarchy. Only directories: files come and go with controllers.
fn cgroups() -> Vec<String> {
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), &mut |path| {
        if path.is_dir() {
            found.push(path.display().to_string());
        }
    });
    found
}

/// Calls `see` for everything below a directory, links not followed.
fn walk(directory: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        see(&path);
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, see);
        }
    }
}

fn command(program: &str, words: &[&str], line: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let out = Command::new(program).args(words).output();
    let out = out.unwrap_or_else(|e| panic!("run {program}, which the leak check needs: {e}"));
    String::from_utf8_lossy(&out.stdout).lines().filter_map(line).collect()
}

/// `NAME` of `ip -o link`: indexes and counters change, names do not.
fn link_line(line: &str) -> Option<String> {
    line.split(": ").nth(1).map(str::to_owned)
}

/// `NAME FAMILY ADDRESS` of `ip -o address`; link-local addresses of IPv6 come with any link and are left out.
fn address_line(line: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let address = words.get(3)?;
    (!address.starts_with("fe80:")).then(|| format!("{} {} {address}", words[1], words[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(lines: &[&str]) -> Snapshot {
        Snapshot(BTreeMap::from([("link", lines.iter().map(|l| (*l).to_owned()).collect())]))
    }

    #[test]
    fn a_second_thing_of_the_same_name_is_a_leak() {
        let found = snapshot(&["a"]).difference(&snapshot(&["a", "a"]));
        assert_eq!(found, ["left behind: link a"]);
    }

    #[test]
    fn what_is_gone_is_told_apart_from_what_is_new() {
        let found = snapshot(&["a"]).difference(&snapshot(&["b"]));
        assert_eq!(found, ["left behind: link b", "lost: link a"]);
    }
}
