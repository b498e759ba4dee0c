// SPDX-License-Identifier: Apache-2.0
//! How fast container output gets into the log, against `cat` through the same pipe, and whether all of it does.
//!
//! `cargo run --profile shim -p gorae-shim --example log_speed -- [DIRECTORY]`: 2,000,000 lines of 100 bytes, first
//! into one file, then with a rotation every 100 ms; every byte is compared afterwards.

use gorae_shim::io::{Ends, Stdio};
use gorae_shim::log::Log;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as ChildStdio};
use std::time::{Duration, Instant};

const LINES: u64 = 2_000_000;
const LINE: usize = 100;
const ROTATE: Duration = Duration::from_millis(100);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("produce") {
        return produce();
    }
    let parent = argument.map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("gorae-log-speed-{}", std::process::id()));
    fs::create_dir(&dir)?;
    let result = compare(&dir);
    fs::remove_dir_all(&dir)?;
    result
}

fn compare(dir: &Path) -> Outcome<()> {
    for _ in 0..3 {
        through_cat(dir)?;
        through_log(dir, "log", None)?;
        through_log(dir, "log, rotated", Some(ROTATE))?;
    }
    Ok(())
}

/// The container: numbered lines, in writes as large as a buffered program's.
fn produce() -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    let mut block = Vec::with_capacity(64 << 10);
    for number in 0..LINES {
        block.extend_from_slice(&line(number));
        if block.len() + LINE > 64 << 10 {
            out.write_all(&block)?;
            block.clear();
        }
    }
    out.write_all(&block)?;
    Ok(())
}

fn line(mut number: u64) -> [u8; LINE] {
    let mut line = [b'.'; LINE];
    line[LINE - 1] = b'\n';
    for digit in line[..9].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    line
}

fn producer(stdout: OwnedFd) -> Outcome<Child> {
    Ok(Command::new(std::env::current_exe()?).arg("produce").stdout(ChildStdio::from(stdout)).spawn()?)
}

/// The kernel tells times in hundredths of a second (`USER_HZ`).
const TICK_MS: u64 = 10;

/// Whose processor time is asked for: where its two fields begin behind the name in /proc/self/stat.
#[derive(Clone, Copy)]
enum Whose {
    Own = 11,
    Children = 13,
}

/// User and system time, in steps of 10 ms.
fn cpu(whose: Whose) -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name in /proc/self/stat")?;
    let fields = fields.split(' ').skip(whose as usize).take(2);
    let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * TICK_MS))
}

fn report(what: &str, wall: Duration, cpu: Duration) {
    let megabytes = (LINES as usize * LINE) as f64 / 1e6;
    let (wall, cpu) = (wall.as_secs_f64(), cpu.as_secs_f64());
    println!(
        "{what:<14} {:>6.0} MB/s   {wall:.3} s, of its own processor {cpu:.3} s ({:.0} MB/s)",
        megabytes / wall,
        megabytes / cpu
    );
}

fn through_cat(dir: &Path) -> Outcome<()> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::pipe::fcntl_setpipe_size(&read, 256 << 10)?;
    let begin = Instant::now();
    let mut child = producer(write)?;
    let path = dir.join("cat");
    let mut cat = Command::new("cat").stdin(ChildStdio::from(read)).stdout(File::create(&path)?).spawn()?;
    child.wait()?;
    let before = cpu(Whose::Children)?;
    cat.wait()?;
    let used = cpu(Whose::Children)? - before;
    report("cat", begin.elapsed(), used);
    Ok(fs::remove_file(path)?)
}

fn through_log(dir: &Path, what: &str, rotate: Option<Duration>) -> Outcome<()> {
    let path = dir.join("0.log");
    let (ends, child_ends) = gorae_shim::io::pipes(Some(File::open("/dev/null")?.into()))?;
    let Ends::Pipes { .. } = &ends else { return Err("pipes were asked for".into()) };
    let mut stdio = Stdio::new(Log::open(Some(&path), false)?, ends, false)?;
    let (begin, before) = (Instant::now(), cpu(Whose::Own)?);
    let mut child = producer(child_ends.stdout)?;
    drop((child_ends.stdin, child_ends.stderr));
    let (mut files, mut last) = (Vec::new(), begin);
    while !stdio.finished() {
        serve(&mut stdio)?;
        if rotate.is_some_and(|every| last.elapsed() >= every) {
            let old = dir.join(format!("0.log.{}", files.len()));
            fs::rename(&path, &old)?;
            stdio.reopen()?;
            files.push(old);
            last = Instant::now();
        }
    }
    stdio.drain(Duration::ZERO);
    report(what, begin.elapsed(), cpu(Whose::Own)? - before);
    child.wait()?;
    files.push(path);
    verify(&files)?;
    if stdio.gap_bytes() != 0 {
        return Err("output was lost".into());
    }
    files.iter().try_for_each(|file| Ok(fs::remove_file(file)?))
}

fn serve(stdio: &mut Stdio) -> Outcome<()> {
    let ready: Vec<u32> = {
        let list = stdio.interests();
        let mut fds: Vec<_> = list.iter().map(|i| PollFd::from_borrowed_fd(i.fd, PollFlags::IN)).collect();
        poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
        list.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(i, _)| i.token).collect()
    };
    ready.into_iter().for_each(|token| stdio.on_ready(token));
    Ok(())
}

/// Every line is there once, in order, as it was written.
fn verify(files: &[PathBuf]) -> Outcome<()> {
    let (mut number, mut record) = (0, Vec::new());
    for file in files {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
        loop {
            record.clear();
            if reader.read_until(b'\n', &mut record)? == 0 {
                break;
            }
            if record.get(30..40) != Some(b" stdout F ") || record[40..] != line(number) {
                return Err(format!("line {number} in {}: {}", file.display(), String::from_utf8_lossy(&record)).into());
            }
            number += 1;
        }
    }
    if number == LINES { Ok(()) } else { Err(format!("{number} lines of {LINES}").into()) }
}
