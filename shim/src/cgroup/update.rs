// SPDX-License-Identifier: Apache-2.0
//! Changes the limits of a running container: all of them, or none.

use super::counter::counter;
use super::dir::Dir;
use super::dirs::Dirs;
use super::limits::{self, Write};
use super::resources::Resources;
use super::undo;
use crate::failure::{self, Failure, Kind, Result};
use std::io;

struct Change<'a> {
    dir: &'a Dir,
    write: Write,
    /// The content of the file while the old limits are in force.
    old: String,
}

/// Applies `resources`; when one value is refused, all old values are restored.
///
/// # Errors
/// `FailedPrecondition` for a limit below what is in use, or without its controller; otherwise the kernel's error, with
/// the file and the value. A failure to restore an old value is in the same message.
pub fn update(dirs: &Dirs, resources: &Resources) -> Result<()> {
    let mut changes = read_old(dirs, limits::writes(dirs.is_v2, resources))?;
    order(&mut changes);
    changes.iter().try_for_each(refuse_below_use)?;
    for (done, change) in changes.iter().enumerate() {
        if let Err(failure) = limits::put(change.dir, &change.write) {
            return Err(put_back(&changes[..=done], told(change, failure)));
        }
    }
    Ok(())
}

impl Change<'_> {
    fn said(&self) -> io::Result<String> {
        said(self.dir, &self.write.file)
    }

    fn show(&self) -> String {
        self.dir.show(&self.write.file)
    }
}

/// Undoes `changes`, the latest first; any that could not be undone are added to `failure`. The refused change is
/// included, because a kernel may have applied a part of it.
fn put_back(changes: &[Change<'_>], mut failure: Failure) -> Failure {
    let stays = |change: &Change<'_>| change.said().is_ok_and(|now| now == change.old);
    // Unchanged files are not written: a v2 cpuset that was empty could never be emptied again.
    for change in changes.iter().rev().filter(|change| !stays(change)) {
        // The loop below checks whether it worked.
        let Write { file, value, .. } = &change.write;
        let _ = change.dir.write(file, &undo::value(file, value, &change.old));
    }
    for change in changes {
        let (path, old) = (change.show(), &change.old);
        match change.said() {
            Ok(now) if now == *old => {}
            Ok(now) => failure.message += &format!("; {path} is {now:?} now and could not be restored to {old:?}"),
            Err(e) => failure.message += &format!("; {path} cannot be read any more: {e}"),
        }
    }
    failure
}

/// Reads the current value of each file. A change whose optional file is missing is dropped.
fn read_old(dirs: &Dirs, writes: Vec<Write>) -> Result<Vec<Change<'_>>> {
    let mut changes = Vec::with_capacity(writes.len());
    for write in writes {
        let Some(dir) = limits::dir_of(dirs, &write)? else { continue };
        match said(dir, &write.file) {
            Ok(old) => changes.push(Change { dir, write, old }),
            Err(e) if write.optional && e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failure::kernel("read limit", dir.show(&write.file), e)),
        }
    }
    keep_quota(&mut changes);
    Ok(changes)
}

/// The value of a limit's file. An empty v2 cpuset means the parent's, and the kernel does not let one with processes
/// become empty again.
fn said(dir: &Dir, file: &str) -> io::Result<String> {
    let mut text = dir.read(file)?;
    if text.trim_end().is_empty() && is_cpuset(file) {
        text = dir.read(&format!("{file}.effective"))?;
    }
    Ok(text.trim_end().to_owned())
}

fn is_cpuset(file: &str) -> bool {
    matches!(file, "cpuset.cpus" | "cpuset.mems")
}

/// The file with the current usage of a limited memory, and the counters in `memory.stat` that the kernel can reclaim.
fn usage_of(limit: &str) -> Option<(&'static str, [&'static str; 2])> {
    const V1: [&str; 2] = ["total_inactive_file", "total_active_file"];
    match limit {
        "memory.max" => Some(("memory.current", ["inactive_file", "active_file"])),
        "memory.limit_in_bytes" => Some(("memory.usage_in_bytes", V1)),
        "memory.memsw.limit_in_bytes" => Some(("memory.memsw.usage_in_bytes", V1)),
        _ => None,
    }
}

/// v2 accepts a limit below the usage and then kills; v1 tries for a while to make room and fails.
fn refuse_below_use(change: &Change<'_>) -> Result<()> {
    let Some((usage, reclaimable)) = usage_of(&change.write.file) else { return Ok(()) };
    let read = |file: &str| change.dir.read(file).map_err(|e| failure::kernel("read", change.dir.show(file), e));
    let used = in_use(number(read(usage)?.trim_end()), &read("memory.stat")?, reclaimable);
    if number(&change.write.value) >= used { Ok(()) } else { Err(below_use(change, used)) }
}

fn below_use(change: &Change<'_>, used: u64) -> Failure {
    let limit = &change.write.value;
    let why = format!("{limit} is less than the {used} bytes that are in use and cannot be reclaimed");
    failure::refused(Kind::FailedPrecondition, "set limit", change.show(), &why)
}

/// Explains the `EBUSY` that v1 returns when it could not make room.
fn told(change: &Change<'_>, failure: Failure) -> Failure {
    let usage = usage_of(&change.write.file).filter(|_| failure.errno == libc::EBUSY);
    let used = usage.and_then(|(usage, _)| change.dir.read(usage).ok());
    used.map_or(failure, |used| below_use(change, number(used.trim_end())))
}

/// Bytes in use that are not file cache: the kernel can free them only by killing.
fn in_use(current: u64, stat: &str, reclaimable: [&str; 2]) -> u64 {
    let cached: u64 = reclaimable.iter().map(|name| counter(stat, name)).sum();
    current.saturating_sub(cached)
}

/// v2 has quota and period in one file: a period without a quota must keep the current quota.
fn keep_quota(changes: &mut [Change<'_>]) {
    for change in changes.iter_mut().filter(|c| c.write.file == "cpu.max") {
        let old_quota = change.old.split(' ').next().unwrap_or("max").to_owned();
        if let Some(period) = change.write.value.strip_prefix(limits::KEEP_QUOTA) {
            change.write.value = format!("{old_quota} {period}");
        }
    }
}

/// CPUs and memory nodes come last: on v2 a cpuset that was empty cannot be emptied again.
///
/// v1 requires memory <= memory plus swap at every moment, so the sum goes first when limits grow. The kernel also
/// checks the ratio of CPU quota to period against the parent, so the smaller ratio comes first.
fn order(changes: &mut [Change<'_>]) {
    changes.sort_by_key(|change| is_cpuset(&change.write.file));
    let find = |changes: &[Change<'_>], file: &str| changes.iter().position(|c| c.write.file == file);
    let memory = find(changes, "memory.limit_in_bytes");
    let sum = find(changes, "memory.memsw.limit_in_bytes");
    if let (Some(memory), Some(sum)) = (memory, sum)
        && number(&changes[memory].write.value) > number(&changes[memory].old)
    {
        changes.swap(memory, sum);
    }
    let period = find(changes, "cpu.cfs_period_us");
    let quota = find(changes, "cpu.cfs_quota_us");
    if let (Some(period), Some(quota)) = (period, quota)
        && number(&changes[period].write.value) < number(&changes[period].old)
    {
        changes.swap(period, quota);
    }
}

/// Parses a limit; "-1" and "max" become the largest number.
fn number(value: &str) -> u64 {
    value.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change<'a>(dir: &'a Dir, file: &str, old: &str, new: &str) -> Change<'a> {
        let write = Write { controller: "memory", file: file.into(), value: new.into(), optional: false };
        Change { dir, write, old: old.into() }
    }

    fn somewhere() -> Dir {
        Dir::of_test(std::path::Path::new("/"))
    }

    #[test]
    fn what_is_not_put_back_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let group = Dir::of_test(dir.path());
        std::fs::write(dir.path().join("pids.max"), "2").unwrap();
        let changes = [change(&group, "pids.max", "1", "2"), change(&group, "memory.high", "1", "2")];
        let failure = put_back(&changes, failure::refused(Kind::Internal, "set limit", "x", "no"));
        assert_eq!(group.read("pids.max").unwrap(), "1");
        assert!(failure.message.contains("memory.high cannot be read"), "{}", failure.message);
        assert!(!failure.message.contains("pids.max"), "{}", failure.message);
    }

    #[test]
    fn cpus_and_memory_nodes_come_last() {
        let dir = somewhere();
        let change = |file, old, new| change(&dir, file, old, new);
        let mut changes = [change("cpuset.cpus", "", "0"), change("memory.max", "1", "2"), change("io.max", "", "x")];
        order(&mut changes);
        assert_eq!(changes.map(|c| c.write.file), ["memory.max", "io.max", "cpuset.cpus"]);
    }

    #[test]
    fn a_growing_memory_limit_raises_the_sum_first_and_a_shrinking_one_lowers_it_last() {
        let dir = somewhere();
        let change = |file, old, new| change(&dir, file, old, new);
        for (old, new, first) in
            [("100", "200", "memory.memsw.limit_in_bytes"), ("200", "100", "memory.limit_in_bytes")]
        {
            let mut changes =
                [change("memory.limit_in_bytes", old, new), change("memory.memsw.limit_in_bytes", old, new)];
            order(&mut changes);
            assert_eq!(changes[0].write.file, first);
        }
    }

    #[test]
    fn file_cache_is_not_in_use() {
        let (_, v2) = usage_of("memory.max").unwrap();
        assert_eq!(in_use(1000, "anon 500\nfile 400\ninactive_file 250\nactive_file 100\nshmem 50\n", v2), 650);
        assert_eq!(in_use(10, "inactive_file 20\n", v2), 0);
        let (_, v1) = usage_of("memory.memsw.limit_in_bytes").unwrap();
        assert_eq!(in_use(1000, "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n", v1), 500);
    }

    #[test]
    fn a_limit_below_what_is_in_use_is_refused_in_the_same_words_on_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let group = Dir::of_test(dir.path());
        let stat = "inactive_file 5\ntotal_inactive_file 5\nactive_file 0\ntotal_active_file 0\n";
        std::fs::write(dir.path().join("memory.stat"), stat).unwrap();
        for (limit, usage) in [
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"),
        ] {
            std::fs::write(dir.path().join(usage), "105\n").unwrap();
            assert_eq!(refuse_below_use(&change(&group, limit, "200", "100")), Ok(()));
            let failure = refuse_below_use(&change(&group, limit, "200", "99")).unwrap_err();
            assert_eq!(failure.kind(), Kind::FailedPrecondition);
            let words = "99 is less than the 100 bytes that are in use and cannot be reclaimed";
            assert!(failure.message.ends_with(words), "{}", failure.message);
            let busy = failure::kernel("set limit", limit, io::Error::from_raw_os_error(libc::EBUSY));
            let failure = told(&change(&group, limit, "200", "99"), busy);
            assert!(failure.message.contains("99 is less than the 105 bytes"), "{}", failure.message);
        }
        let busy = failure::kernel("set limit", "pids.max", io::Error::from_raw_os_error(libc::EBUSY));
        assert_eq!(told(&change(&group, "pids.max", "1", "2"), busy.clone()), busy);
    }

    #[test]
    fn a_period_alone_keeps_the_quota_in_force() {
        let dir = somewhere();
        let mut changes = [change(&dir, "cpu.max", "50000 100000", "keep 200000")];
        keep_quota(&mut changes);
        assert_eq!(changes[0].write.value, "50000 200000");
    }
}
