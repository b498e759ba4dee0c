// SPDX-License-Identifier: Apache-2.0
//! The stdio of a container, driven through real pipes and terminals.

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

fn setup(log: &Path, stdin: bool, once: bool) -> (Stdio, File, File, File) {
    let nothing = || rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let (ends, child) = pipes((!stdin).then(nothing)).unwrap();
    let stdio = Stdio::new(Log::open(Some(log), false).unwrap(), ends, once).unwrap();
    (stdio, child.stdin.into(), child.stdout.into(), child.stderr.into())
}

/// Serves everything that is ready until nothing is.
fn turn(stdio: &mut Stdio) {
    for _ in 0..10_000 {
        let ready: Vec<u32> = {
            let list = stdio.interests();
            let flags = |i: &Interest<'_>| {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, i.readable);
                flags.set(PollFlags::OUT, i.writable);
                flags
            };
            let mut fds: Vec<_> = list.iter().map(|i| PollFd::from_borrowed_fd(i.fd, flags(i))).collect();
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
            list.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(i, _)| i.token).collect()
        };
        if ready.is_empty() {
            return;
        }
        ready.into_iter().for_each(|token| stdio.on_ready(token));
    }
    panic!("something stays ready for ever");
}

/// Serves until the last process is gone. One that another test is just starting has a copy of each descriptor for a moment.
fn turn_to_the_end(stdio: &mut Stdio) {
    let begin = Instant::now();
    turn(stdio);
    while !stdio.finished() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it never ends");
        std::thread::sleep(Duration::from_millis(1));
        turn(stdio);
    }
}

fn contents(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(|line| line[31..].to_owned()).collect()
}

fn all() -> Attach {
    Attach { stdin: true, stdout: true, stderr: true }
}

#[test]
fn output_is_in_the_log_when_drain_returns() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("0.log");
    let (mut stdio, _stdin, mut stdout, mut stderr) = setup(&log, false, false);
    stdout.write_all(b"a\nb").unwrap();
    stderr.write_all(b"c\n").unwrap();
    drop((stdout, stderr));
    stdio.drain(Duration::from_secs(5));
    assert!(stdio.finished());
    assert_eq!(contents(&log), ["stdout F a", "stdout P b", "stderr F c"]);
}

#[test]
fn drain_does_not_wait_longer_than_told_for_a_process_that_keeps_the_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("0.log");
    let (mut stdio, _stdin, mut stdout, _stderr) = setup(&log, false, false);
    stdout.write_all(b"a\nb").unwrap();
    let begin = Instant::now();
    stdio.drain(Duration::from_millis(50));
    assert!(begin.elapsed() >= Duration::from_millis(50) && begin.elapsed() < Duration::from_secs(2));
    assert_eq!(contents(&log), ["stdout F a", "stdout P b"]);
}

/// /dev/zero stands for a pipe that a process fills as fast as it is read.
#[test]
fn drain_has_its_limit_whoever_writes_without_pause() {
    let (done, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let zero = || rustix::fs::open("/dev/zero", OFlags::RDONLY, Mode::empty()).unwrap();
        let ends = Ends::Pipes { stdin: None, stdout: zero(), stderr: zero() };
        let mut stdio = Stdio::new(Log::open(None, false).unwrap(), ends, false).unwrap();
        stdio.drain(Duration::from_millis(50));
        done.send(stdio.finished()).unwrap();
    });
    assert_eq!(over.recv_timeout(Duration::from_secs(60)), Ok(true));
}

#[test]
fn every_viewer_gets_the_output_from_its_attach_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, _stdin, mut stdout, mut stderr) = setup(&dir.path().join("0.log"), true, false);
    stdout.write_all(b"early\n").unwrap();
    turn(&mut stdio);
    let fds = |stdio: &mut Stdio| stdio.attach(&all()).unwrap().into_iter().map(File::from).collect::<Vec<_>>();
    let (mut one, mut two) = (fds(&mut stdio), fds(&mut stdio));
    assert_eq!((one.len(), two.len()), (3, 3));
    stdout.write_all(b"out").unwrap();
    stderr.write_all(b"err").unwrap();
    drop((stdout, stderr));
    turn(&mut stdio);
    stdio.drain(Duration::ZERO);
    for viewer in [&mut one, &mut two] {
        let (mut out, mut err) = (String::new(), String::new());
        viewer[1].read_to_string(&mut out).unwrap();
        viewer[2].read_to_string(&mut err).unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("out", "err"));
    }
}

#[test]
fn a_viewer_that_stops_reading_is_dropped_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("0.log");
    let (mut stdio, _stdin, mut stdout, _stderr) = setup(&log, false, false);
    let only_out = Attach { stdin: false, stdout: true, stderr: false };
    let mut stuck = File::from(stdio.attach(&only_out).unwrap().remove(0));
    let block = [[b'y'; 63].as_slice(), b"\n"].concat().repeat(1024);
    for _ in 0..40 {
        stdout.write_all(&block).unwrap();
        turn(&mut stdio);
    }
    assert!(stdio.viewers.is_empty());
    let mut got = Vec::new();
    stuck.read_to_end(&mut got).unwrap();
    assert!(got.len() < 2 << 20, "{}", got.len());
    assert_eq!(contents(&log).len(), 40 * 1024);
}

#[test]
fn a_slow_viewer_gets_everything_from_its_queue() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, _stdin, mut stdout, _stderr) = setup(&dir.path().join("0.log"), false, false);
    let only_out = Attach { stdin: false, stdout: true, stderr: false };
    let mut slow = File::from(stdio.attach(&only_out).unwrap().remove(0));
    let block = vec![b'z'; 64 << 10];
    for _ in 0..8 {
        stdout.write_all(&block).unwrap();
        turn(&mut stdio);
    }
    drop(stdout);
    turn(&mut stdio);
    let (mut got, mut piece) = (0, vec![0; 40_000]);
    loop {
        match slow.read(&mut piece).unwrap() {
            0 => break,
            n => got += n,
        }
        turn(&mut stdio);
    }
    assert_eq!(got, 8 * block.len());
}

#[test]
fn a_viewer_that_is_too_far_behind_loses_all_its_streams_and_the_others_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, _stdin, mut stdout, _stderr) = setup(&dir.path().join("0.log"), true, false);
    let mut attach = || stdio.attach(&all()).unwrap().into_iter().map(File::from).collect::<Vec<_>>();
    let (mut slow, mut quick) = (attach(), attach());
    let block = vec![b'z'; 32 << 10];
    for _ in 0..(2 << 20) / block.len() {
        stdout.write_all(&block).unwrap();
        turn(&mut stdio);
        quick[1].read_exact(&mut block.clone()).unwrap();
    }
    assert_eq!(slow[2].read(&mut [0]).unwrap(), 0, "its stderr ends, too");
    assert_eq!(slow[0].write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    let mut queued = Vec::new();
    slow[1].read_to_end(&mut queued).unwrap();
    assert!(queued.len() <= 64 << 10, "{}", queued.len());
    quick[0].write_all(b"x").unwrap();
    stdout.write_all(b"more").unwrap();
    turn(&mut stdio);
    let mut more = [0; 4];
    quick[1].read_exact(&mut more).unwrap();
    assert_eq!(&more, b"more");
}

#[test]
fn stdin_stays_open_between_clients_unless_it_is_for_one_only() {
    for once in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (mut stdio, mut stdin, _stdout, _stderr) = setup(&dir.path().join("0.log"), true, once);
        let only_in = Attach { stdin: true, stdout: false, stderr: false };
        let mut client = File::from(stdio.attach(&only_in).unwrap().remove(0));
        client.write_all(b"first").unwrap();
        turn(&mut stdio);
        drop(client);
        turn(&mut stdio);
        let mut client = File::from(stdio.attach(&only_in).unwrap().remove(0));
        client.write_all(b" second").unwrap();
        turn(&mut stdio);
        drop(stdio);
        let mut got = String::new();
        stdin.read_to_string(&mut got).unwrap();
        assert_eq!(got, if once { "first" } else { "first second" });
    }
}

#[test]
fn input_waits_for_a_container_that_does_not_read_and_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, mut stdin, _stdout, _stderr) = setup(&dir.path().join("0.log"), true, true);
    let only_in = Attach { stdin: true, stdout: false, stderr: false };
    let client = stdio.attach(&only_in).unwrap().remove(0);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || File::from(client).write_all(&copy).unwrap());
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        stdin.read_to_end(&mut got).unwrap();
        got
    });
    while stdio.stdin.is_some() {
        turn(&mut stdio);
        std::thread::yield_now();
    }
    writer.join().unwrap();
    assert_eq!(reader.join().unwrap(), sent);
}

#[test]
fn nothing_stays_ready_when_clients_or_the_container_hang_up() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, stdin, _stdout, _stderr) = setup(&dir.path().join("0.log"), true, false);
    drop(stdio.attach(&all()).unwrap());
    turn(&mut stdio);
    assert!(stdio.viewers.is_empty());
    let mut clients = stdio.attach(&all()).unwrap();
    let mut input = File::from(clients.remove(0));
    // Fills the container's stdin, then hangs up with bytes on the way.
    for _ in 0..1_000 {
        rustix::io::ioctl_fionbio(&input, true).unwrap();
        let _ = input.write(&[b'i'; 4096]);
        turn(&mut stdio);
    }
    drop((input, clients));
    turn(&mut stdio);
    drop(stdin);
    turn(&mut stdio);
    assert!(stdio.stdin.is_none() && stdio.viewers.is_empty());
    let late = stdio.attach(&Attach { stdin: true, stdout: false, stderr: false }).unwrap();
    assert!(File::from(late.into_iter().next().unwrap()).write_all(b"nowhere").is_ok());
}

/// A container with a terminal: its stdio, and its own side.
fn terminal(log: &Path) -> (Stdio, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let tty = File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
    (Stdio::new(Log::open(Some(log), true).unwrap(), Ends::Terminal { master }, false).unwrap(), tty)
}

#[test]
fn only_a_terminals_first_viewer_sees_the_end_of_what_was_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, mut tty) = terminal(&dir.path().join("0.log"));
    for n in 0..2_000 {
        tty.write_all(format!("{n:0>19}").as_bytes()).unwrap();
        turn(&mut stdio);
    }
    tty.write_all(b"prompt# ").unwrap();
    turn(&mut stdio);
    let mut first = File::from(stdio.attach(&all()).unwrap().remove(0));
    let mut second = File::from(stdio.attach(&all()).unwrap().remove(0));
    tty.write_all(b"now").unwrap();
    drop(tty);
    turn_to_the_end(&mut stdio);
    let (mut seen, mut late) = (String::new(), String::new());
    first.read_to_string(&mut seen).unwrap();
    second.read_to_string(&mut late).unwrap();
    assert!(seen.len() == UNSEEN + 3 && seen.ends_with("0001999prompt# now"), "{}", seen.len());
    assert_eq!(late, "now");
}

#[test]
fn what_a_viewers_socket_has_no_room_for_waits_in_its_queue() {
    for ended in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (mut stdio, tty) = terminal(&dir.path().join("0.log"));
        if ended {
            drop(tty);
            turn_to_the_end(&mut stdio);
        }
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 1).unwrap();
        let screen = vec![b's'; UNSEEN];
        stdio.admit(ours, Carries::Terminal, &screen).unwrap();
        let (mut client, mut seen) = (File::from(theirs), vec![0; UNSEEN]);
        let reader = std::thread::spawn(move || client.read_exact(&mut seen).map(|()| seen));
        while !reader.is_finished() {
            turn(&mut stdio);
        }
        assert!(reader.join().unwrap().unwrap() == screen);
    }
}

#[test]
fn a_terminal_is_one_descriptor_both_ways_and_ends_with_its_last_process() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("0.log");
    let (mut stdio, mut tty) = terminal(&log);
    let fds = stdio.attach(&all()).unwrap();
    assert_eq!((fds.len(), stdio.master().is_some()), (1, true));
    let mut client = File::from(fds.into_iter().next().unwrap());
    client.write_all(b"typed\n").unwrap();
    turn(&mut stdio);
    let mut line = [0; 16];
    assert_eq!(tty.read(&mut line).unwrap(), 6);
    tty.write_all(b"shown\n").unwrap();
    turn(&mut stdio);
    drop(tty);
    turn_to_the_end(&mut stdio);
    let mut got = String::new();
    client.read_to_string(&mut got).unwrap();
    assert_eq!(got, "typed\r\nshown\r\n");
    assert_eq!(contents(&log), ["stdout F typed\r", "stdout F shown\r"].map(|s| s.trim_end_matches('\r')));
    assert!(std::fs::read(&log).unwrap().ends_with(b"shown\r\n"));
    assert!(stdio.finished());
}

#[test]
fn an_idle_container_holds_no_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stdio, _stdin, mut stdout, _stderr) = setup(&dir.path().join("0.log"), false, false);
    assert_eq!(stdio.deadline(), None);
    stdout.write_all(b"x\n").unwrap();
    turn(&mut stdio);
    let deadline = stdio.deadline().unwrap();
    stdio.on_time(deadline - Duration::from_millis(1));
    assert!(stdio.holds_buffers());
    stdio.on_time(deadline);
    assert_eq!((stdio.deadline(), stdio.holds_buffers()), (None, false));
}
