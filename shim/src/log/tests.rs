// SPDX-License-Identifier: Apache-2.0
//! Tests the log against a real file, and against a full file system.

use super::*;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

/// The stream, tag and content of each record in a log file.
fn records(path: &Path) -> Vec<(String, char, String)> {
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "a torn record");
    let record = |line: &[u8]| {
        let line = String::from_utf8_lossy(line).into_owned();
        let mut parts = line.splitn(4, ' ');
        assert_eq!(parts.next().unwrap().len(), stamp::STAMP);
        let stream = parts.next().unwrap().to_owned();
        let tag = parts.next().unwrap().chars().next().unwrap();
        (stream, tag, parts.next().unwrap().to_owned())
    };
    bytes.strip_suffix(b"\n").map_or_else(Vec::new, |all| all.split(|&b| b == b'\n').map(record).collect())
}

/// The output that a reader reconstructs: contents, with a newline after each full record.
fn content(path: &Path) -> String {
    records(path).into_iter().map(|(_, tag, text)| if tag == 'F' { text + "\n" } else { text }).collect()
}

/// A tmpfs of `bytes` that is mounted nowhere: its directory, and a path to it.
fn small_disk(bytes: &str) -> (OwnedFd, PathBuf) {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    rustix::mount::fsconfig_set_string(&fs, "size", bytes).unwrap();
    rustix::mount::fsconfig_create(&fs).unwrap();
    let dir = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    (dir, path)
}

#[test]
fn the_file_is_made_with_its_parents_and_not_for_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pod/container/0.log");
    let _log = Log::open(Some(&path), false).unwrap();
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o640);
    assert_eq!(mode(&dir.path().join("pod/container")), 0o755);
}

#[test]
fn an_unusable_path_is_a_clean_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let below_file = Log::open(Some(&dir.path().join("file/x/0.log")), false).unwrap_err();
    assert!(below_file.to_string().contains("file/x"), "{below_file}");
    symlink("/etc/hostname", dir.path().join("link")).unwrap();
    assert!(matches!(Log::open(Some(&dir.path().join("link")), false), Err(Error::Open { .. })));
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(Log::open(Some(&dir.path().join("fifo")), false).is_err());
    assert!(matches!(Log::open(Some(Path::new("/dev/null")), false), Err(Error::NotRegular { .. })));
}

/// No driver has minor number 254 of the "misc" devices: opening it would fail with another error.
#[test]
fn a_device_in_the_files_place_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (path, number) = (dir.path().join("0.log"), rustix::fs::makedev(10, 254));
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), number).unwrap();
    assert!(std::fs::OpenOptions::new().append(true).open(&path).is_err());
    assert!(matches!(Log::open(Some(&path), false), Err(Error::NotRegular { .. })));
}

#[test]
fn both_streams_share_the_file_in_the_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let mut log = Log::open(Some(&path), false).unwrap();
    log.write(Stream::Stdout, b"one\nhal");
    log.write(Stream::Stderr, b"oops\n");
    log.write(Stream::Stdout, b"f\nrest");
    log.finish(Stream::Stdout);
    let all: Vec<_> = records(&path).into_iter().map(|(s, t, c)| format!("{s} {t} {c}")).collect();
    assert_eq!(all, ["stdout F one", "stderr F oops", "stdout F half", "stdout P rest"]);
}

#[test]
fn without_a_path_output_is_dropped_and_reopen_is_nothing() {
    let mut log = Log::open(None, false).unwrap();
    log.write(Stream::Stdout, b"gone\n");
    log.finish(Stream::Stdout);
    log.reopen().unwrap();
    assert_eq!((log.gap_bytes(), log.holds_buffers()), (0, false));
}

#[test]
fn reopen_switches_files_between_records() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("0.log"), dir.path().join("0.log.1"));
    let mut log = Log::open(Some(&path), false).unwrap();
    log.write(Stream::Stdout, b"before\nunfin");
    std::fs::rename(&path, &old).unwrap();
    log.reopen().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().size(), 0);
    log.write(Stream::Stdout, b"ished\n");
    assert_eq!((content(&old), content(&path)), ("before\n".into(), "unfinished\n".into()));
}

#[test]
fn reopen_that_fails_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("a/0.log"), dir.path().join("moved"));
    let mut log = Log::open(Some(&path), false).unwrap();
    std::fs::rename(dir.path().join("a"), &old).unwrap();
    std::fs::write(dir.path().join("a"), "in the way").unwrap();
    assert!(log.reopen().is_err());
    log.write(Stream::Stdout, b"still here\n");
    assert_eq!(content(&old.join("0.log")), "still here\n");
}

#[test]
fn a_short_outage_loses_nothing() {
    let (_disk, dir) = small_disk("64k");
    std::fs::write(dir.join("ballast"), vec![1; 60 << 10]).unwrap();
    let path = dir.join("0.log");
    let mut log = Log::open(Some(&path), false).unwrap();
    let lines: String = (0..1_000).map(|i| format!("line {i}\n")).collect();
    log.write(Stream::Stdout, lines.as_bytes());
    assert!(log.retry_at().is_some(), "the disk is full");
    let (before, whole) = (records(&path).len(), lines.lines().count());
    assert!(before < whole);
    std::fs::remove_file(dir.join("ballast")).unwrap();
    log.retry();
    assert_eq!((log.retry_at(), log.gap_bytes()), (None, 0));
    assert_eq!(content(&path), lines);
}

#[test]
fn a_long_outage_is_told_in_the_log_to_the_byte() {
    let (_disk, dir) = small_disk("256k");
    std::fs::write(dir.join("ballast"), vec![1; 240 << 10]).unwrap();
    let path = dir.join("0.log");
    let mut log = Log::open(Some(&path), false).unwrap();
    let line = [b'x'; 99].iter().map(|&b| b as char).collect::<String>() + "\n";
    let mut sent = 0;
    for _ in 0..200 {
        let chunk = line.repeat(100);
        log.write(Stream::Stdout, chunk.as_bytes());
        sent += chunk.len();
    }
    let gap = log.gap_bytes();
    assert!(gap > 1 << 20, "{gap}");
    // More space than the backlog needs, less than all the output would have needed.
    std::fs::remove_file(dir.join("ballast")).unwrap();
    log.retry();
    // 240 KiB are free and the backlog is larger: the outage goes on, and no record is torn.
    records(&path);
    std::fs::rename(&path, dir.join("old")).unwrap();
    std::fs::remove_file(dir.join("old")).unwrap();
    let mut kept = 0;
    while log.retry_at().is_some() {
        log.reopen().unwrap();
        kept += content(&path).len() as u64;
        std::fs::rename(&path, dir.join("old")).unwrap();
        std::fs::remove_file(dir.join("old")).unwrap();
    }
    assert!(kept > 0);
    log.reopen().unwrap();
    log.write(Stream::Stdout, b"again\n");
    assert_eq!((log.gap_bytes(), content(&path)), (gap, "again\n".into()));
    assert!(sent as u64 > gap);
}

#[test]
fn the_marker_stands_where_the_gap_is() {
    let (_disk, dir) = small_disk("1m");
    std::fs::write(dir.join("ballast"), vec![1; 1 << 20]).unwrap();
    let path = dir.join("0.log");
    let mut log = Log::open(Some(&path), false).unwrap();
    let mut sent = 0;
    for i in 0..10_000 {
        let chunk = format!("{i:099}\n");
        log.write(Stream::Stderr, chunk.as_bytes());
        sent += chunk.len();
    }
    std::fs::remove_file(dir.join("ballast")).unwrap();
    log.retry();
    log.write(Stream::Stderr, b"after\n");
    let all = records(&path);
    let marker = all.iter().position(|(_, _, text)| text.starts_with("[gorae: ")).unwrap();
    assert_eq!(marker, all.len() - 2, "backlog, marker, then what came after");
    let told: u64 = all[marker].2[8..].split(' ').next().unwrap().parse().unwrap();
    assert_eq!(told, log.gap_bytes());
    assert_eq!(told as usize + marker * 100, sent);
}

#[test]
fn what_never_got_written_counts_at_the_end() {
    let (_disk, dir) = small_disk("4k");
    std::fs::write(dir.join("ballast"), vec![1; 4 << 10]).unwrap();
    let mut log = Log::open(Some(&dir.join("0.log")), false).unwrap();
    log.write(Stream::Stdout, b"lost\nand gone");
    log.finish(Stream::Stdout);
    log.settle();
    assert_eq!(log.gap_bytes(), 13);
}
