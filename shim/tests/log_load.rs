// SPDX-License-Identifier: Apache-2.0
//! Tests the log of a real container under load: with constant rotation, on a full disk, and with a stuck viewer.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;

use driver::{Bench, eventually};
use gorae_proto::shim::{Attach, ReopenLog, reply, request::Verb};
use gorae_shim::sys::unshare;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::ThreadNameSpaceType;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The contents of all records in the files, in order.
fn contents(files: &[PathBuf]) -> Vec<String> {
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).expect("log file");
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends in a torn record", file.display());
        for record in text.lines() {
            assert_eq!(&record[30..31], " ", "{record}");
            assert_eq!(&record[38..40], "F ", "{record}");
            lines.push(record[40..].to_owned());
        }
    }
    lines
}

#[test]
fn no_line_is_lost_or_doubled_by_rotations_under_load() {
    let script = "seq 1 400000; seq 400001 800000; until test -e /tmp/go; do sleep 0.01; done; echo end";
    let mut container = Bench::sh(script).run();
    let (path, mut files) = (container.bench.path("log"), Vec::new());
    for round in 0..100 {
        let old = container.bench.path(&format!("log.{round}"));
        fs::rename(&path, &old).unwrap();
        files.push(old);
        container.done(Verb::ReopenLog(ReopenLog {}));
        assert!(path.exists(), "the new file exists when the reply arrives");
        std::thread::sleep(Duration::from_millis(5));
    }
    container.exec(&["/bin/touch", "/tmp/go"]);
    container.wait();
    files.push(path);
    let lines = contents(&files);
    assert!(files.iter().filter(|file| fs::metadata(file).unwrap().len() > 0).count() > 3, "rotated while it wrote");
    assert_eq!(lines.len(), 800_001);
    assert!(lines.iter().take(800_000).enumerate().all(|(at, line)| line.parse() == Ok(at + 1)));
}

/// A tmpfs of 1 MiB that is already full, in a mount namespace of this thread.
fn small_disk(bench: &Bench) -> PathBuf {
    unshare(ThreadNameSpaceType::MOUNT).expect("tests run as root");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make private");
    let dir = bench.path("disk");
    fs::create_dir(&dir).unwrap();
    mount("small", &dir, "tmpfs", MountFlags::empty(), Some(c"size=1m")).expect("mount");
    fs::write(dir.join("ballast"), vec![1; 1 << 20]).unwrap();
    dir
}

fn told(line: &str) -> Option<u64> {
    line.strip_prefix("[gorae: ")?.split(' ').next()?.parse().ok()
}

#[test]
fn a_full_disk_does_not_stop_the_container_and_the_gap_is_told_to_the_byte() {
    let mut bench =
        Bench::sh("seq 100000 300000; echo first >/tmp/done; until test -e /tmp/go; do sleep 0.01; done; echo after");
    let disk = small_disk(&bench);
    let log = disk.join("0.log");
    bench.start.log_path = log.display().to_string();
    let mut container = bench.run();
    // The container finishes writing, although most of its output cannot be logged.
    let (exited, ..) = container.exec(&["/bin/sh", "-c", "until test -e /tmp/done; do sleep 0.01; done"]);
    assert_eq!(exited.exit_code, 0);
    fs::remove_file(disk.join("ballast")).unwrap();
    let text = |log: &Path| fs::read_to_string(log).unwrap();
    eventually("the log continues", || text(&log).contains("[gorae: "));
    container.exec(&["/bin/touch", "/tmp/go"]);
    let state = container.wait();
    assert_eq!(state.exit_code, 0);
    let lines = contents(&[log]);
    let gap = lines.iter().position(|line| line.starts_with("[gorae: ")).unwrap();
    let lost = told(&lines[gap]).unwrap();
    assert_eq!(lost + 7 * gap as u64, 200_001 * 7, "lost and logged bytes add up to all that was written");
    assert!(lines[..gap].iter().enumerate().all(|(at, line)| line.parse() == Ok(at + 100_000)));
    assert_eq!(lines[gap + 1..], ["after"]);
}

#[test]
fn a_stuck_viewer_holds_neither_container_nor_log() {
    let mut container = Bench::sh("sleep 0.2; seq 1 1000000").run();
    let (body, stuck) = container.line().ask(Verb::Attach(Attach { stdin: false, stdout: true, stderr: true }));
    assert!(matches!(body, reply::Body::Attached(_)) && stuck.len() == 2);
    assert_eq!(container.wait().exit_code, 0);
    assert_eq!(contents(&[container.bench.path("log")]).len(), 1_000_000);
    drop(stuck);
}

#[test]
fn partial_lines_rejoin_to_what_was_written() {
    let mut container =
        Bench::sh("/bin/busybox head -c 40000 /dev/zero | /bin/busybox tr '\\0' x; printf 'y\\r\\nend'").run();
    container.wait();
    let log = container.bench.log();
    let tags: Vec<(&str, usize)> = log.lines().map(|record| (&record[38..39], record[40..].len())).collect();
    assert_eq!(tags, [("P", 16_384), ("P", 16_384), ("F", 7_233), ("P", 3)]);
}
