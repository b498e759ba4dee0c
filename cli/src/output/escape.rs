// SPDX-License-Identifier: Apache-2.0
//! Makes text harmless to a terminal when an image, a label or a registry controls it.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal would act on this character, or it is invisible, or it changes the order of the text.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Replaces every character that [`acts`] with a visible escape: `\n`, `\x1b`, `\u{202e}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Like [`plain`], but keeps line ends and tabs: for messages of several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| acts(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if keep(c) || !acts(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)).expect("strings do not fail"),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)).expect("strings do not fail"),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_or_reorders_text_passes() {
        let rows = [
            ("plain ünïcode 漢字", "plain ünïcode 漢字"),
            ("\x1b[2Jgone", "\\x1b[2Jgone"),
            ("c1 \u{9b}31m", "c1 \\x9b31m"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("del\x7f nul\0", "del\\x7f nul\\x00"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ];
        for (text, shown) in rows {
            assert_eq!(plain(text), shown);
            assert!(!plain(text).chars().any(acts));
        }
    }

    #[test]
    fn a_message_keeps_its_lines() {
        assert_eq!(lines("a\n\tb\x1b"), "a\n\tb\\x1b");
    }
}
