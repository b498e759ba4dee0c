// SPDX-License-Identifier: Apache-2.0
//! Untrusted text in error messages.

/// Prepares untrusted text for an error message: removes control characters and limits the length, since errors become
/// events. The end is kept, because the JSON reader quotes whole strings and puts the position after them.
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
