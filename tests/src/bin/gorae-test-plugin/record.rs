// SPDX-License-Identifier: Apache-2.0
//! Writes down what the plugin is given: `TYPE.VERB.env`, `TYPE.VERB.stdin`, and a line of `order` for each call.

use crate::call::Call;
use std::io::Write;
use std::path::Path;

/// Writes down one call; a later one of the same verb takes its place.
pub fn record(directory: &Path, call: &Call) {
    let program = std::env::args().next().expect("a program has a name");
    let kind = Path::new(&program).file_name().expect("a program is a file").to_string_lossy().into_owned();
    let mut variables: Vec<String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("CNI_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    variables.sort();
    let path = |what: &str| directory.join(format!("{kind}.{}.{what}", call.verb));
    std::fs::write(path("env"), variables.join("\n")).expect("the variables can be written");
    std::fs::write(path("stdin"), &call.bytes).expect("the input can be written");
    let order = std::fs::File::options().create(true).append(true).open(directory.join("order"));
    writeln!(order.expect("the order can be opened"), "{kind} {}", call.verb).expect("the order can be written");
}
