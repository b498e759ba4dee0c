// SPDX-License-Identifier: Apache-2.0
//! Untrusted text in errors.

/// Untrusted text for an error: without control characters, and bounded, since errors become events. The JSON reader
/// quotes whole strings and names the place after them, so the end is kept.
pub fn shown(text: &str) -> String {
    const BEGINNING: usize = 80;
    const END: usize = 60;
    let clean = || text.chars().filter(|c| !c.is_control());
    let length = clean().count();
    let mut shown: String = clean().take(BEGINNING).collect();
    if length > BEGINNING + END {
        shown.push('…');
    }
    shown.extend(clean().skip(BEGINNING.max(length.saturating_sub(END))));
    shown
}
