// SPDX-License-Identifier: Apache-2.0
//! A daemon that has no descriptor left. The test has its own process, because the limit applies to the whole process.

use gorae_kernel::process::ProcessId;
use gorae_node::Process;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::process::Command;

#[test]
fn a_process_is_not_taken_for_ended_when_no_descriptor_is_left_to_look() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        let id = ProcessId::of(child.id()).expect("readable").expect("it runs");
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
        setrlimit(Resource::RLIMIT_NOFILE, 256, hard).expect("a lower limit");
        let mut hoard = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        assert!(Process::open(id).is_err(), "no handle");
        hoard.pop();
        assert!(Process::open(id).is_err(), "a handle, but no look whose it is");
        hoard.pop();
        let process = Process::open(id).expect("enough for both").expect("it runs");
        child.kill().expect("it ran");
        process.ended().await;
        child.wait().expect("it has ended");
    });
}
