// SPDX-License-Identifier: Apache-2.0
//! Container logs: the CRI's format, nothing lost, rotation.

use gorae_tests::{TINY, log, memory, on_a_node, place};
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The pause between two rotations under load.
const ROTATION: Duration = Duration::from_millis(100);
/// Rotations under load, at the least.
const ROTATIONS: usize = 5;
/// The bytes of a record of "line N", at the most, N having eight digits.
const LONGEST: u64 = 30 + " stdout F line 12345678\n".len() as u64;

/// The bytes of all the files.
fn bytes(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| std::fs::metadata(file).expect("the file is there").len()).sum()
}

#[test]
fn each_line_is_one_record_of_its_stream() {
    on_a_node(async |node| {
        let pod = node.pod("format").run().await;
        let container = pod.container("c").script("echo one; echo two >&2; echo; printf three").start().await;
        container.ended().await;
        let records = container.log_records();
        let of = |stream: &str| {
            let ours = records.iter().filter(|r| r.stream == stream);
            ours.map(|r| (r.text.clone(), r.full)).collect::<Vec<_>>()
        };
        let text = |t: &str| t.to_owned();
        assert_eq!(of("stdout")[..2], [(text("one"), true), (text(""), true)]);
        // The last line was never ended: kubectl joins it, whichever tag it has.
        assert_eq!(of("stdout")[2].0, "three");
        assert_eq!(of("stderr"), [(text("two"), true)]);
        assert!(records.iter().all(|r| r.time.ends_with('Z') || r.time.contains('+')));
    });
}

/// Lines of the usual run; `GORAE_LOG_LINES` says another number.
const LINES: u64 = 300_000;

fn lines() -> u64 {
    std::env::var("GORAE_LOG_LINES").map_or(LINES, |n| n.parse().expect("GORAE_LOG_LINES is a number"))
}

/// Reads the files one after the other, byte for byte: what is there of standard output must be the records of "line 1" to
/// "line N" and no more. Returns N and what standard error has.
fn hold_every_line(files: &[PathBuf]) -> (u64, Vec<String>) {
    let (mut number, mut errors, mut record) = (0, Vec::new(), Vec::new());
    for file in files {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(file).expect("the file is there"));
        while reader.read_until(b'\n', &mut record).expect("the file can be read") > 0 {
            let text = String::from_utf8_lossy(&record);
            if let Some((_, error)) = text.split_once(" stderr F ") {
                errors.push(error.trim_end().to_owned());
            } else {
                number += 1;
                let content = format!(" stdout F line {number}\n");
                let ends = text.strip_suffix(&content).is_some_and(|stamp| stamp.len() == 30);
                assert!(ends, "record {number}, in {}: {text}", file.display());
            }
            record.clear();
        }
    }
    (number, errors)
}

#[test]
fn every_line_is_in_the_log_when_the_container_has_ended() {
    on_a_node(async |node| {
        let pod = node.pod("many").run().await;
        let count = lines();
        let container = pod.container("c").image(TINY).args(["count", &count.to_string(), "5"]).start().await;
        assert_eq!(container.ended().await.exit_code, 5);
        assert_eq!(hold_every_line(&[container.log_file().to_owned()]), (count, vec![]));
    });
}

#[test]
fn every_line_is_in_one_of_the_logs_when_they_are_rotated_all_the_time() {
    on_a_node(async |node| {
        let pod = node.pod("rotated").run().await;
        let container = pod.container("c").image(TINY).args(["flood"]).start().await;
        let (mut files, begun) = (Vec::new(), Instant::now());
        while files.len() < ROTATIONS || bytes(&files) < lines() * LONGEST {
            let old = container.log_file().with_extension(format!("log.{}", files.len()));
            std::fs::rename(container.log_file(), &old).unwrap();
            container.try_reopen_log().await.unwrap();
            files.push(old);
            tokio::time::sleep(ROTATION).await;
        }
        container.stop(30).await;
        assert_eq!(container.status().await.exit_code, 0, "it ended by itself, after its last line");
        let rotations = files.len();
        files.push(container.log_file().to_owned());
        let (count, errors) = hold_every_line(&files);
        println!("{count} lines, {rotations} rotations in {:?}", begun.elapsed());
        assert_eq!(errors, [format!("{count} lines")]);
    });
}

#[test]
fn a_long_line_is_split_into_partial_records_and_loses_nothing() {
    on_a_node(async |node| {
        let pod = node.pod("long").run().await;
        let script = "head -c 100000 /dev/zero | tr '\\0' a; echo; echo short";
        let container = pod.container("c").script(script).start().await;
        container.ended().await;
        let records = container.log_records();
        assert!(records.len() > 2, "{} records", records.len());
        assert!(records.iter().all(|r| r.text.len() <= 32 << 10), "a record is longer than a reader takes");
        assert_eq!(log::lines(&records, "stdout"), ["a".repeat(100_000), "short".to_owned()]);
    });
}

#[test]
fn rotating_while_the_container_writes_loses_and_splits_nothing() {
    on_a_node(async |node| {
        let pod = node.pod("rotate").run().await;
        let container = pod.container("c").image(TINY).args(["tick", "1"]).start().await;
        container.has_printed(|line| line == "tick 10").await;
        let mut old = Vec::new();
        for i in 0..20 {
            let name = container.log_file().with_extension(format!("log.{i}"));
            std::fs::rename(container.log_file(), &name).unwrap();
            container.try_reopen_log().await.unwrap();
            assert!(container.log_file().exists(), "the new file is there when the call returns");
            old.push(name);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        container.stop(5).await;
        let mut lines = Vec::new();
        for file in &old {
            let records = log::parse(&std::fs::read_to_string(file).unwrap()).expect("no record is split");
            lines.extend(log::lines(&records, "stdout"));
        }
        lines.extend(container.stdout());
        for (i, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("tick {}", i + 1));
        }
    });
}

#[test]
fn the_log_of_a_container_that_does_not_run_is_not_opened_again() {
    on_a_node(async |node| {
        let pod = node.pod("ended").run().await;
        let container = pod.container("c").image(TINY).args(["echo", "x"]).start().await;
        container.ended().await;
        std::fs::remove_file(container.log_file()).unwrap();
        let error = container.try_reopen_log().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::FailedPrecondition, "{error:?}");
        assert!(!container.log_file().exists());
    });
}

#[test]
fn a_terminal_puts_everything_on_standard_output() {
    on_a_node(async |node| {
        let pod = node.pod("tty").run().await;
        let script = "test -t 1 && echo terminal; echo err >&2";
        let container = pod.container("c").script(script).with(|c| c.tty = true).start().await;
        container.ended().await;
        let text: Vec<_> = container.stdout().iter().map(|l| l.trim_end_matches('\r').to_owned()).collect();
        assert_eq!(text, ["terminal", "err"]);
    });
}

#[test]
fn without_a_log_path_the_container_runs_all_the_same() {
    on_a_node(async |node| {
        let pod = node.pod("silent").run().await;
        let quiet = pod.container("c").image(TINY).args(["count", "10000", "0"]).with(|c| c.log_path.clear());
        assert_eq!(quiet.start().await.ended().await.exit_code, 0);
    });
}

/// Bytes of 100-byte lines.
const LOAD: usize = 200_000_000;
/// What the writer takes on a machine that has nothing else to do, in bytes for each second of its own processor.
const RATE: f64 = 600e6;

/// A file of numbered lines, a quarter of [`LOAD`].
fn write_lines(path: &Path) {
    let text: String = (0..LOAD / 400).map(|n| format!("{n:099}\n")).collect();
    std::fs::write(path, text).expect("the file is written");
}

/// Processor time of `cat` for the same bytes through a pipe of the same size into a file beside the log.
fn cat(lines: &Path, into: &Path) -> Duration {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&read, 256 << 10).expect("resized");
    let mut cat = Command::new("cat")
        .stdin(read)
        .stdout(File::create(into).expect("the file is made"))
        .spawn()
        .expect("cat starts");
    let mut producer = Command::new("cat").args([lines; 4]).stdout(Stdio::from(write)).spawn().expect("cat starts");
    assert!(producer.wait().expect("it ends").success());
    let before = children();
    assert!(cat.wait().expect("it ends").success());
    std::fs::remove_file(into).expect("the file is removed");
    children() - before
}

/// Processor time of all children that were waited for.
fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    let micros =
        |t: nix::sys::time::TimeVal| u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).expect("not negative");
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Only with the shim's own profile does the figure say anything: it is `build/bin/gorae-shim` that writes.
#[test]
fn two_hundred_megabytes_of_lines_cost_the_writer_about_what_they_cost_cat() {
    on_a_node(async |node| {
        let data = node.directory("data");
        write_lines(&data.join("lines"));
        let script = "cat /data/lines /data/lines /data/lines /data/lines; echo >&2; sleep 1000";
        let container = node.pod("load").run().await.container("c").script(script).readonly_mount(&data, "/data");
        let container = container.start().await;
        let init = container.info().await["pid"].as_u64().expect("info has the process id");
        let shim = place::parent_of(u32::try_from(init).expect("a process id"));
        // What the log has when everything is in it: each record is 40 bytes longer than its line.
        let whole = u64::try_from(LOAD / 100 * 140).expect("it fits");
        let begun = Instant::now();
        while std::fs::metadata(container.log_file()).map_or(0, |m| m.len()) <= whole {
            assert!(begun.elapsed() < Duration::from_secs(30), "the log does not get whole");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (took, own) = (begun.elapsed(), memory::processor_time(shim));
        let peer = cat(&data.join("lines"), &node.directory("cat").join("out"));
        let rate = LOAD as f64 / own.as_secs_f64();
        println!(
            "{took:?}, {own:?} of its own processor ({:.0} MB/s); cat {peer:?}, ratio {:.2}",
            rate / 1e6,
            own.as_secs_f64() / peer.as_secs_f64()
        );
        // On a busy machine everybody is slower, cat too, which writes two bytes for three of the log's.
        assert!(rate >= RATE || own <= peer * 2, "{own:?}, and cat {peer:?}");
        std::fs::remove_file(container.log_file()).unwrap();
    });
}
