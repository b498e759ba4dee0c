// SPDX-License-Identifier: Apache-2.0
//! What of a stranger's text goes into an error.

/// What a stranger wrote, for an error text: bounded, since errors become events. The JSON reader quotes whole strings
/// and says the place behind them, so the end is kept.
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
