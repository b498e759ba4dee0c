// SPDX-License-Identifier: Apache-2.0
//! The demonstration works: it is a test of the whole, command line included.

use gorae_tests::place;
use std::process::Command;

#[test]
fn the_demo_runs_to_its_end_and_leaves_nothing() {
    place::assert_own_namespaces();
    let out = Command::new(place::binary("gorae-demo")).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("nothing was left behind"), "{stdout}");
}
