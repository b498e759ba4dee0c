// SPDX-License-Identifier: Apache-2.0
//! `[runtimes.NAME]`: additional names of runtime handlers.

use super::raw::{RawRuntime, RuntimeKind};
use gorae_node::handlers::Handlers;
use std::collections::BTreeMap;

/// Most runtime handlers: every Status response lists all of them.
const MAX_HANDLERS: usize = 64;
/// Longest name: that of a DNS label.
const LONGEST: usize = 63;

/// Checks the names: those that a RuntimeClass can have as its handler (DNS labels), and others that containerd
/// accepts.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(runtimes: &BTreeMap<String, RawRuntime>) -> Result<Handlers, String> {
    if runtimes.len() > MAX_HANDLERS {
        return Err(format!("runtimes: at most {MAX_HANDLERS} are allowed"));
    }
    if let Some(bad) = runtimes.keys().find(|name| !fits(name)) {
        return Err(format!("runtimes: {bad:?} is not a valid name (1 to {LONGEST} letters, digits, -, _ or .)"));
    }
    let native = runtimes.iter().filter(|(_, runtime)| runtime.kind == RuntimeKind::Native);
    Ok(Handlers::new(native.map(|(name, _)| name.clone())))
}

fn fits(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed)
}
