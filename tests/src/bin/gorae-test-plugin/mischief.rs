// SPDX-License-Identifier: Apache-2.0
//! What plugins do wrong. The choice depends on the seed, the pod, the verb and the number of the try only.

use crate::call::{Call, fail, print};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Error,
    ErrorWithSuccess,
    Silent,
    Slow,
    SlowAfterwards,
    ChildWithTheOutput,
    Flood,
    Words,
    NotText,
    Null,
    OtherVersion,
    NoVersion,
    NoAddress,
    NoSuchInterface,
    Deep,
    Killed,
    Crashed,
}

const ALL: [Wrong; 17] = [
    Wrong::Error,
    Wrong::ErrorWithSuccess,
    Wrong::Silent,
    Wrong::Slow,
    Wrong::SlowAfterwards,
    Wrong::ChildWithTheOutput,
    Wrong::Flood,
    Wrong::Words,
    Wrong::NotText,
    Wrong::Null,
    Wrong::OtherVersion,
    Wrong::NoVersion,
    Wrong::NoAddress,
    Wrong::NoSuchInterface,
    Wrong::Deep,
    Wrong::Killed,
    Wrong::Crashed,
];

/// How this call goes wrong, if it does. A DEL of one pod only goes wrong so many times.
pub fn choose(call: &Call) -> Option<Wrong> {
    let wish = call.config.get("mischief")?;
    if let Some(name) = wish.get("always").and_then(Value::as_str) {
        return ALL.into_iter().find(|wrong| call.verb == "ADD" && format!("{wrong:?}") == name);
    }
    let number = |key: &str| wish.get(key).and_then(Value::as_u64).expect("mischief has numbers");
    let store = wish.get("store").and_then(Value::as_str).expect("mischief has a store");
    let earlier = count(Path::new(store), &format!("{}.{}", call.container, call.verb));
    let mut hash = DefaultHasher::new();
    (number("seed"), &call.container, &call.verb, earlier).hash(&mut hash);
    let hash = hash.finish();
    let goes_wrong = hash % 100 < number("percent") && (call.verb != "DEL" || earlier < number("tries"));
    let which = usize::try_from(hash / 100 % ALL.len() as u64).expect("it is small");
    goes_wrong.then_some(ALL[which])
}

/// How often this was asked before.
fn count(store: &Path, what: &str) -> u64 {
    let path = store.join(what);
    let file = std::fs::File::options().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(b".")).expect("the store can be written");
    std::fs::metadata(path).map_or(0, |found| found.len() - 1)
}

/// What goes wrong instead of the result.
pub fn before(wrong: Wrong) {
    let end = |text: &str| {
        print(text);
        std::process::exit(0)
    };
    match wrong {
        Wrong::Error => fail("no"),
        Wrong::ErrorWithSuccess => end(r#"{"cniVersion":"1.0.0","code":7,"msg":"no","details":"and yet"}"#),
        Wrong::Silent => std::process::exit(1),
        Wrong::Slow => std::thread::sleep(Duration::from_millis(1500)),
        Wrong::Flood => end(&"x".repeat(10 << 20)),
        Wrong::Words => eprint!("{}", "words of a plugin\n".repeat(600_000)),
        Wrong::NotText => {
            let _ = std::io::stdout().write_all(b"{\"ips\":[\"\xff\xfe\"]}\0");
            std::process::exit(0);
        }
        Wrong::Null => end("null"),
        Wrong::OtherVersion => end(r#"{"cniVersion":"7.0.0","ips":[{"address":"10.99.0.2/24"}]}"#),
        Wrong::NoVersion => end(r#"{"ips":[{"version":"4","address":"10.99.0.300/24"}]}"#),
        Wrong::NoAddress => end(r#"{"cniVersion":"1.0.0","interfaces":[{"name":"eth0"}]}"#),
        Wrong::NoSuchInterface => end(r#"{"cniVersion":"1.0.0","ips":[{"address":"10.99.0.2/24","interface":99}]}"#),
        Wrong::Deep => end(&"[".repeat(100_000)),
        Wrong::Killed => drop(kill(Pid::this(), Signal::SIGKILL)),
        Wrong::SlowAfterwards | Wrong::ChildWithTheOutput | Wrong::Crashed => {}
    }
}

/// What goes wrong behind the result.
#[expect(clippy::zombie_processes, reason = "the child is to outlive its parent")]
pub fn after(wrong: Wrong) {
    match wrong {
        Wrong::SlowAfterwards => std::thread::sleep(Duration::from_millis(1500)),
        Wrong::ChildWithTheOutput => {
            let mut child = Command::new("sleep");
            child.arg("3").stdin(Stdio::null()).process_group(0).spawn().expect("sleep is there");
        }
        // Rust itself catches SIGSEGV.
        Wrong::Crashed => drop(kill(Pid::this(), Signal::SIGILL)),
        _ => {}
    }
}
