// SPDX-License-Identifier: Apache-2.0
//! Reading a log as it grows. The kernel reports every change, so there is no polling. The inotify watch is on the
//! directory, so that renames and new files are seen too.

use crate::logs::print::Printer;
use crate::logs::source::Source;
use anyhow::{Context, Result};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::future::Future;
use std::io::Write;
use std::path::Path;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Prints the log from `offset` on, until `ended` is ready and everything written by then is printed. Nothing is missed:
/// all output of a container is in the file before its exit is visible.
///
/// # Errors
/// The error of `ended`; or when the log cannot be watched, read or printed. A full inotify queue is not an error,
/// because each wake-up reads to the end of the file.
pub async fn follow<T, O: Write, E: Write>(
    path: &Path,
    offset: u64,
    printer: &mut Printer<O, E>,
    ended: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut watch = Watch::of_directory(path)?;
    let mut source = Source::open(path, offset).with_context(|| format!("open log {}", path.display()))?;
    let mut drain = || -> Result<()> {
        // Writing may block on a slow reader; meanwhile another thread handles this program's signals.
        tokio::task::block_in_place(|| source.drain(&mut |line| printer.line(line)))
            .and_then(|()| printer.flush())
            .with_context(|| format!("read log {}", path.display()))
    };
    tokio::pin!(ended);
    loop {
        drain()?;
        tokio::select! {
            result = &mut ended => {
                drain()?;
                return result;
            }
            changed = watch.changed() => changed?,
        }
    }
}

/// An inotify instance on the directory of a file. tokio reads it like a pipe.
#[derive(Debug)]
struct Watch {
    queue: Receiver,
}

impl Watch {
    fn of_directory(file: &Path) -> Result<Self> {
        let directory = file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let tried = || format!("watch {}", directory.display());
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).with_context(tried)?;
        let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, directory, events).with_context(tried)?;
        Ok(Self { queue: Receiver::from_owned_fd_unchecked(inotify).with_context(tried)? })
    }

    /// Waits until something has changed in the directory since the last call. It does not matter what: the reader
    /// checks the file itself.
    async fn changed(&mut self) -> Result<()> {
        let mut events = [0; 4096];
        self.queue.read(&mut events).await.context("wait for changes of the log")?;
        while self.queue.try_read(&mut events).is_ok_and(|read| read > 0) {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::print::Form;
    use std::fs::File;
    use std::time::Duration;

    fn add(path: &Path, content: &str) {
        let mut file = File::options().append(true).create(true).open(path).expect("opens");
        writeln!(file, "2026-11-21T06:15:52Z stdout F {content}").expect("writes");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn everything_written_before_the_exit_is_printed_across_rotation() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("0.log");
        add(&path, "before");
        let (end, ended) = tokio::sync::oneshot::channel::<i32>();
        let writer = {
            let path = path.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if n % 5 == 4 {
                        std::fs::rename(&path, path.with_extension(n.to_string())).expect("rotates");
                    }
                    add(&path, &n.to_string());
                }
                end.send(7).expect("someone waits");
            })
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(&mut out, &mut err, 0, Form::Plain);
        let code = follow(&path, 0, &mut printer, async { Ok(ended.await?) }).await.expect("follows");
        drop(printer);
        writer.await.expect("writer");
        let expected: String =
            std::iter::once("before\n".to_owned()).chain((0..20).map(|n| format!("{n}\n"))).collect();
        assert_eq!((code, String::from_utf8(out).expect("text")), (7, expected));
    }
}
