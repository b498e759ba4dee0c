// SPDX-License-Identifier: Apache-2.0
//! A person at a terminal: a program with a pseudo-terminal of its own, what it shows, and keys that are typed.

use crate::testing::soon;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use tokio::process::{Child, Command};

/// A terminal and the program on it, which is killed with it.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Terminal {
    /// Starts a program on a terminal of this size, as its session's leader; panics when it cannot.
    #[must_use]
    pub fn open(program: &std::process::Command, columns: u16, rows: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("a name in UTF-8"))
            .expect("the terminal opens");
        resize(&master, columns, rows);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?)))).kill_on_drop(true);
        let end = || std::process::Stdio::from(slave.try_clone().expect("a second descriptor"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid starts");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, copy) = (File::from(master.try_clone().expect("a second descriptor")), shown.clone());
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut block) {
                copy.lock().expect("no panic").extend_from_slice(&block[..n]);
            }
        });
        Terminal { keys: master.into(), shown, child }
    }

    /// Everything that was shown so far.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Types keys; panics when the terminal is gone.
    pub fn typed(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("the terminal is there");
    }

    /// Gives the terminal another size.
    pub fn resized(&self, columns: u16, rows: u16) {
        resize(&self.keys, columns, rows);
    }

    /// Waits until the screen shows this; panics after ten seconds.
    pub async fn shows(&self, text: &str) {
        soon(&format!("{text:?} is shown after {:?}", self.shown()), async || {
            self.shown().contains(text).then_some(())
        })
        .await;
    }

    /// Waits for the program's end and returns its exit code; panics after twenty seconds.
    pub async fn ended(&mut self) -> i32 {
        let limit = std::time::Duration::from_secs(20);
        let status = tokio::time::timeout(limit, self.child.wait()).await;
        status
            .unwrap_or_else(|_| panic!("the program does not end; it showed {:?}", self.shown()))
            .expect("the program is waited for")
            .code()
            .unwrap_or(-1)
    }

    /// Whether keys are echoed and lines edited, as they are while no program has the terminal raw.
    #[must_use]
    pub fn is_cooked(&self) -> bool {
        use rustix::termios::{LocalModes, tcgetattr};
        tcgetattr(&self.keys).expect("a terminal").local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

fn resize(fd: impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(fd, size).expect("a terminal");
}
