// SPDX-License-Identifier: Apache-2.0
//! A CNI plugin of the tests, to be chained behind or before others. It passes the result before it on, and does what its
//! configuration says besides:
//!
//! ```text
//! record     a directory: what it is given is written there
//! away       { VERB: a file }: the verb fails while the file exists
//! hang       { VERB: a file }: the verb hangs while the file exists
//! mischief   { seed, percent, tries, store }: that share of its calls goes wrong, each in one of many ways
//! ```

mod call;
mod mischief;
mod record;

use call::{Call, fail, print};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

fn main() {
    let call = Call::read();
    if let Some(directory) = call.path("record") {
        record::record(Path::new(directory), &call);
    }
    wait_or_fail(&call);
    let wrong = mischief::choose(&call);
    if let Some(wrong) = wrong {
        mischief::before(wrong);
    }
    print(&result(&call));
    if let Some(wrong) = wrong {
        mischief::after(wrong);
    }
}

/// An agent that is away, or one that does not answer.
fn wait_or_fail(call: &Call) {
    if call.exists("away") {
        fail("the agent is away");
    }
    while call.exists("hang") {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The result to pass on; only ADD has one.
fn result(call: &Call) -> String {
    let own = || {
        json!({
            "cniVersion": call.config["cniVersion"],
            "interfaces": [{"name": "eth0", "sandbox": std::env::var("CNI_NETNS").unwrap_or_default()}],
            "ips": [{"address": "10.99.0.2/24", "interface": 0}],
        })
    };
    match call.verb.as_str() {
        "ADD" => call.config.get("prevResult").cloned().unwrap_or_else(own).to_string(),
        _ => String::new(),
    }
}
