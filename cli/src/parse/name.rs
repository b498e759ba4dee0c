// SPDX-License-Identifier: Apache-2.0
//! Names of containers, and the host names derived from them.

use anyhow::{Result, ensure};

/// The longest name in bytes: names become part of file names.
const MAX_NAME: usize = 128;

/// Checks the name of a container.
///
/// # Errors
/// When it has other characters than allowed, begins with a punctuation mark, or is too long.
pub fn name(text: &str) -> Result<String> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    ensure!(
        first && rest && text.len() <= MAX_NAME,
        "bad name {text:?}: a name has up to {MAX_NAME} letters, digits, \"_\", \".\" and \"-\", and begins with a letter or \
         digit"
    );
    Ok(text.to_owned())
}

/// Checks a host name: labels of letters, digits and inner hyphens, separated by dots; 64 bytes at most (the kernel's limit).
///
/// # Errors
/// When it has another form.
pub fn hostname(text: &str) -> Result<String> {
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    ensure!(
        text.len() <= 64 && text.split('.').all(label),
        "bad host name {text:?}: the form is labels of letters, digits and inner \"-\", separated by \".\", 64 bytes at most"
    );
    Ok(text.to_owned())
}

/// Derives a valid host name from the valid name of a container.
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
    fn every_name_gives_a_valid_host_name() {
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
