// SPDX-License-Identifier: Apache-2.0
//! Names of containers, and the host names made of them.

use anyhow::{Result, ensure};

/// The longest name: it becomes part of file names.
const MAX_NAME: usize = 128;

/// Checks a container's name.
pub fn name(text: &str) -> Result<String> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    ensure!(
        first && rest && text.len() <= MAX_NAME,
        "bad name {text:?}: letters, digits, \"_\", \".\" and \"-\" are allowed, the first a letter or digit, at most {MAX_NAME}"
    );
    Ok(text.to_owned())
}

/// Checks a host name: dot-separated labels of letters, digits and inner hyphens, 64 bytes in all (the kernel's limit).
pub fn hostname(text: &str) -> Result<String> {
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    ensure!(text.len() <= 64 && text.split('.').all(label), "bad host name {text:?}");
    Ok(text.to_owned())
}

/// Makes a host name of a container's name.
pub fn hostname_of(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c == '_' || c == '.' { '-' } else { c }).take(63).collect();
    plain.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for text in ["a", "9", "web-1", "A_b.c-d", &"x".repeat(128)] {
            assert_eq!(name(text).expect(text), text);
        }
        for text in ["", "-a", ".a", "_a", "a b", "a/b", "..", "a\n", "é", "a\x1b[0m", &"x".repeat(129)] {
            assert!(name(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn every_name_makes_a_host_name() {
        for (text, host) in [("web_1", "web-1"), ("a.b", "a-b"), ("a_", "a"), ("brave_otter", "brave-otter")] {
            assert_eq!(hostname_of(text), host);
        }
        for text in ["a", "9._-", &"x_".repeat(64), &"a.".repeat(60)] {
            let made = hostname_of(&name(text).expect(text));
            assert_eq!(hostname(&made).expect(text), made);
        }
        for text in ["", "-a", "a-", "a..b", "a_b", &"a".repeat(64), "a b"] {
            assert!(hostname(text).is_err(), "{text:?} was taken");
        }
    }
}
