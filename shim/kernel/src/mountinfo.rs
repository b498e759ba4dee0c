// SPDX-License-Identifier: Apache-2.0
//! The mount table as the kernel prints it.

/// Undoes the octal escapes of a path in /proc/PID/mountinfo: space `\040`, tab `\011`, newline `\012`, backslash
/// `\134`. Everything else is copied unchanged.
///
/// - Source: `mangle()` in the kernel's fs/proc_namespace.c.
pub fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        match escaped(rest) {
            Some(value) => {
                out.push(value);
                rest = &rest[4..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

/// The byte that a backslash and three octal digits stand for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'\\', digits @ ..] = text.first_chunk::<4>()? else { return None };
    let octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let value = digits.iter().fold(0u32, |value, digit| value * 8 + u32::from(digit.wrapping_sub(b'0')));
    u8::try_from(value).ok().filter(|_| octal)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_undone_once_and_everything_else_stays() {
        for (printed, path) in [
            (&b"/a\\040b"[..], &b"/a b"[..]),
            (b"/tab\\011newline\\012", b"/tab\tnewline\n"),
            (b"/\\134040", b"/\\040"), // a backslash and three digits, not a space
            (b"/\\134", b"/\\"),
            (b"/\\04", b"/\\04"),
            (b"/\\999", b"/\\999"),
            (b"/\\777", b"/\\777"),
            (b"/plain \xff", b"/plain \xff"),
        ] {
            assert_eq!(unescape(printed), path, "{}", printed.escape_ascii());
        }
    }
}
