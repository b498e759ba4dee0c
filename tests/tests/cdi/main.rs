// SPDX-License-Identifier: Apache-2.0
//! CDI: what spec files of the node say about device names of a request.

mod devices;
mod hooks;
mod refused;

use gorae_proto::cri::{CdiDevice, ContainerConfig};
use gorae_tests::Node;

/// Writes a spec file of the first (`etc`) or the last (`run`) directory.
fn write(node: &Node, last: bool, file: &str, text: &str) {
    let directory = &node.daemon().cdi_directories()[usize::from(last)];
    std::fs::create_dir_all(directory).expect("a fresh directory can be made");
    std::fs::write(directory.join(file), text).expect("a file can be written in it");
}

/// Writes a spec with one device `example.com/gadget=one` that has these edits, as JSON.
fn gadget(node: &Node, edits: &serde_json::Value) {
    let spec = serde_json::json!({
        "cdiVersion": "1.1.0",
        "kind": "example.com/gadget",
        "devices": [{"name": "one", "containerEdits": edits}],
    });
    write(node, true, "gadget.json", &spec.to_string());
}

/// Asks for a device.
fn ask(name: &str) -> impl Fn(&mut ContainerConfig) {
    move |config| config.cdi_devices.push(CdiDevice { name: name.to_owned() })
}
