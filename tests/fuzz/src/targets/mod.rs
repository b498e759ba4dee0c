// SPDX-License-Identifier: Apache-2.0
//! The targets, one file each.

mod authority;
mod challenge;
mod daemon;
mod headers;
mod hosts;
mod imageconfig;
mod layer;
mod manifest;
mod names;
mod record;
mod reference;
mod resize;
mod shim;
mod spdy;
mod tunnel;
mod websocket;

use crate::target::Target;

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "spdy", check: spdy::check, seeds: spdy::seeds, memory: 1 << 20 },
    Target { name: "headers", check: headers::check, seeds: headers::seeds, memory: 4 << 20 },
    Target { name: "websocket", check: websocket::check, seeds: websocket::seeds, memory: 1 << 20 },
    Target { name: "tunnel", check: tunnel::check, seeds: tunnel::seeds, memory: 2 << 20 },
    Target { name: "resize", check: resize::check, seeds: resize::seeds, memory: 8 << 20 },
    Target { name: "shim", check: shim::check, seeds: shim::seeds, memory: 40 << 20 },
    Target { name: "daemon", check: daemon::check, seeds: daemon::seeds, memory: 40 << 20 },
    Target { name: "names", check: names::check, seeds: names::seeds, memory: 1 << 20 },
    Target { name: "record", check: record::check, seeds: record::seeds, memory: 8 << 20 },
    Target { name: "reference", check: reference::check, seeds: reference::seeds, memory: 1 << 20 },
    Target { name: "manifest", check: manifest::check, seeds: manifest::seeds, memory: 8 << 20 },
    Target { name: "imageconfig", check: imageconfig::check, seeds: imageconfig::seeds, memory: 16 << 20 },
    Target { name: "hosts", check: hosts::check, seeds: hosts::seeds, memory: 16 << 20 },
    Target { name: "authority", check: authority::check, seeds: authority::seeds, memory: 1 << 20 },
    Target { name: "challenge", check: challenge::check, seeds: challenge::seeds, memory: 4 << 20 },
    Target { name: "layer", check: layer::check, seeds: layer::seeds, memory: 16 << 20 },
];

/// Finds a target by its name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
