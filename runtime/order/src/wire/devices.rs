// SPDX-License-Identifier: Apache-2.0
//! Device nodes, and the rules for access to devices.

use crate::devices::{Device, DeviceRule, Node};
use gorae_proto::shim;

pub(super) fn device(device: Device) -> shim::Device {
    let (kind, major, minor) = match device.node {
        Node::Character(major, minor) => ("c", major, minor),
        Node::Block(major, minor) => ("b", major, minor),
        Node::Fifo => ("p", 0, 0),
    };
    let (process_uid, process_gid) = (device.uid.is_none(), device.gid.is_none());
    let [uid, gid] = [device.uid, device.gid].map(|id| id.unwrap_or(0));
    shim::Device {
        path: device.path,
        kind: kind.into(),
        major,
        minor,
        mode: device.mode,
        uid,
        gid,
        process_uid,
        process_gid,
    }
}

pub(super) fn device_rule(rule: DeviceRule) -> shim::DeviceRule {
    let any_or = |number: Option<u32>| number.map_or(-1, i64::from);
    shim::DeviceRule {
        allow: rule.allow,
        kind: rule.kind.letter().into(),
        major: any_or(rule.major),
        minor: any_or(rule.minor),
        access: rule.access.letters(),
    }
}
