// SPDX-License-Identifier: Apache-2.0
//! A container's life: start, output, exit, signals, stop, and what a start that fails leaves behind.

mod driver;

use driver::Bench;
use gorae_proto::shim::container_state::Phase;
use gorae_proto::shim::*;

#[test]
fn a_container_runs_and_its_output_is_logged_before_its_exit_is_told() {
    let mut container = Bench::sh("echo hello world; echo oops >&2; exit 7").run();
    assert_eq!(container.state.phase(), Phase::Running);
    let state = container.wait();
    assert_eq!((state.exit_code, state.reason.as_str(), state.oom_killed), (7, "", false));
    assert!(state.started_at_ns > 0 && state.finished_at_ns >= state.started_at_ns);
    assert_eq!(container.bench.output("stdout"), "hello world\n");
    assert_eq!(container.bench.output("stderr"), "oops\n");
}
