// SPDX-License-Identifier: Apache-2.0
//! Changing the limits of a running container: all of them, or none.

use super::file;
use super::limits::{self, Write};
use super::place::Place;
use super::undo;
use crate::failure::{self, Failure, Kind, Result};
use crate::wire::Resources;
use std::fs;
use std::path::{Path, PathBuf};

struct Change {
    path: PathBuf,
    write: Write,
    /// What the file says while the old limits are in force.
    old: String,
}

/// Puts `resources` in force; when one value is refused, the old values of all of them are put back.
pub fn update(place: &Place, resources: &Resources) -> Result<()> {
    let mut changes = read_old(place, limits::writes(place.is_v2(), resources)?)?;
    order(&mut changes);
    changes.iter().filter(|change| change.write.file == "memory.max").try_for_each(refuse_below_use)?;
    for (done, change) in changes.iter().enumerate() {
        if let Err(failure) = limits::put(&change.path, &change.write) {
            return Err(put_back(&changes[..=done], failure));
        }
    }
    Ok(())
}

/// Undoes `changes`, the latest first; what stays changed is told along with `failure`. The change that was refused is
/// among them: a kernel may take a part of it.
fn put_back(changes: &[Change], mut failure: Failure) -> Failure {
    let stays = |change: &Change| said(&change.path, &change.write.file).is_ok_and(|now| now == change.old);
    // What never changed is not written: a v2 cpuset that says nothing would say something for ever after.
    for change in changes.iter().rev().filter(|change| !stays(change)) {
        // Whether it worked is looked at below.
        let _ = file::write(&change.path, &undo::value(&change.write.file, &change.write.value, &change.old));
    }
    for change in changes {
        match said(&change.path, &change.write.file) {
            Ok(now) if now == change.old => {}
            Ok(now) => {
                let (path, old) = (change.path.display(), &change.old);
                failure.message += &format!("; {path} says {now:?} now and could not be put back to {old:?}");
            }
            Err(e) => failure.message += &format!("; {} cannot be read any more: {e}", change.path.display()),
        }
    }
    failure
}

/// Reads what each file says now. An optional file that is missing drops its change.
fn read_old(place: &Place, writes: Vec<Write>) -> Result<Vec<Change>> {
    let mut changes = Vec::with_capacity(writes.len());
    for write in writes {
        let Some(path) = limits::file_of(place, &write) else { continue };
        match said(&path, &write.file) {
            Ok(old) => changes.push(Change { path, write, old }),
            Err(e) if write.optional && e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failure::kernel("read limit", path.display().to_string(), e)),
        }
    }
    keep_quota(&mut changes);
    Ok(changes)
}

/// What a limit's file says. A v2 cpuset that says nothing has its parent's, and the kernel lets none that holds
/// processes say nothing again.
fn said(path: &Path, file: &str) -> std::io::Result<String> {
    let mut text = fs::read_to_string(path)?;
    if text.trim_end().is_empty() && is_cpuset(file) {
        text = fs::read_to_string(format!("{}.effective", path.display()))?;
    }
    Ok(text.trim_end().to_owned())
}

fn is_cpuset(file: &str) -> bool {
    matches!(file, "cpuset.cpus" | "cpuset.mems")
}

/// v2 takes a limit below what is used, and then kills; v1 answers EBUSY by itself.
fn refuse_below_use(change: &Change) -> Result<()> {
    let read = |file: &str| {
        let path = change.path.with_file_name(file);
        fs::read_to_string(&path).map_err(|e| failure::kernel("read", path.display().to_string(), e))
    };
    let limit = number(&change.write.value);
    let used = in_use(number(read("memory.current")?.trim_end()), &read("memory.stat")?);
    if limit >= used {
        return Ok(());
    }
    let why = format!("{limit} is less than the {used} bytes that are in use and cannot be reclaimed");
    let object = change.path.display().to_string();
    Err(failure::refused(Kind::FailedPrecondition, "set limit", object, &why))
}

/// Bytes of `memory.current` that are no file cache: what the kernel can only free by killing.
fn in_use(current: u64, stat: &str) -> u64 {
    let cached: u64 = ["inactive_file", "active_file"].iter().map(|name| super::events::counter(stat, name)).sum();
    current.saturating_sub(cached)
}

/// v2 has quota and period in one file: a period without a quota must keep the quota in force.
fn keep_quota(changes: &mut [Change]) {
    for change in changes.iter_mut().filter(|c| c.write.file == "cpu.max") {
        let old_quota = change.old.split(' ').next().unwrap_or("max").to_owned();
        if let Some(period) = change.write.value.strip_prefix(limits::KEEP_QUOTA) {
            change.write.value = format!("{old_quota} {period}");
        }
    }
}

/// CPUs and memory nodes come last, for on v2 the file of one that had none cannot be emptied again.
///
/// v1 demands memory <= memory plus swap at every moment: when growing, the sum goes first. The same goes for the
/// CPU period and quota, which the kernel checks as a ratio against the parent: the smaller ratio comes first.
fn order(changes: &mut [Change]) {
    changes.sort_by_key(|change| is_cpuset(&change.write.file));
    let find = |changes: &[Change], file: &str| changes.iter().position(|c| c.write.file == file);
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

/// A limit as a number; "-1" and "max" are the largest.
fn number(value: &str) -> u64 {
    value.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(file: &str, old: &str, new: &str) -> Change {
        let write = Write { controller: "memory", file: file.into(), value: new.into(), optional: false };
        Change { path: PathBuf::new(), write, old: old.into() }
    }

    #[test]
    fn what_is_not_put_back_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, now: &str| {
            std::fs::write(dir.path().join(name), now).unwrap();
            Change { path: dir.path().join(name), ..change(name, "1", "2") }
        };
        let changes = [made("pids.max", "2"), made("memory.high", "2")];
        std::fs::remove_file(&changes[1].path).unwrap();
        let failure = put_back(&changes, failure::refused(Kind::Internal, "set limit", "x", "no"));
        assert_eq!(std::fs::read_to_string(&changes[0].path).unwrap(), "1");
        assert!(failure.message.contains("memory.high cannot be read"), "{}", failure.message);
        assert!(!failure.message.contains("pids.max"), "{}", failure.message);
    }

    #[test]
    fn cpus_and_memory_nodes_come_last() {
        let mut changes = [change("cpuset.cpus", "", "0"), change("memory.max", "1", "2"), change("io.max", "", "x")];
        order(&mut changes);
        assert_eq!(changes.map(|c| c.write.file), ["memory.max", "io.max", "cpuset.cpus"]);
    }

    #[test]
    fn a_growing_memory_limit_raises_the_sum_first_and_a_shrinking_one_lowers_it_last() {
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
        assert_eq!(in_use(1000, "anon 500\nfile 400\ninactive_file 250\nactive_file 100\nshmem 50\n"), 650);
        assert_eq!(in_use(10, "inactive_file 20\n"), 0);
    }

    #[test]
    fn a_period_alone_keeps_the_quota_in_force() {
        let mut changes = [change("cpu.max", "50000 100000", "keep 200000")];
        keep_quota(&mut changes);
        assert_eq!(changes[0].write.value, "50000 200000");
    }
}
