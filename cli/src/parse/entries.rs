// SPDX-License-Identifier: Apache-2.0
//! `KEY=VALUE`, as in `-e`, `--env-file` and `--label`.

use anyhow::{Context, Result, bail, ensure};
use gorae_proto::cri::KeyValue;

/// Reads one `-e`: `KEY=VALUE`, or `KEY` alone to pass on the variable of this shell.
///
/// `own` looks up a variable of this shell. The result is `None` when `KEY` is not set there: then nothing is passed on,
/// as with Docker.
///
/// # Errors
/// When the name is empty, or there is a NUL byte. The error never shows the value, which may be a secret.
pub fn variable(text: &str, own: impl Fn(&str) -> Option<String>) -> Result<Option<KeyValue>> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, own(text)),
    };
    ensure!(!key.is_empty(), "bad variable: it has no name before the \"=\"; the form is KEY=VALUE");
    ensure!(
        !text.contains('\0'),
        "bad variable {:?}: it contains a NUL byte",
        key.split('\0').next().unwrap_or_default()
    );
    Ok(value.map(|value| KeyValue { key: key.to_owned(), value: value.into_bytes() }))
}

/// Reads an `--env-file`: one variable per line. Blank lines, and lines that begin with `#`, are skipped.
///
/// # Errors
/// For the first bad line, by its number. The error never quotes the line.
pub fn file(text: &str, own: impl Fn(&str) -> Option<String>) -> Result<Vec<KeyValue>> {
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split_once('=').map_or(line, |(key, _)| key);
        if name.contains(char::is_whitespace) {
            // Not quoted: this may be the second line of a private key.
            bail!("line {}: white space in the name of a variable; the form is KEY=VALUE", number + 1);
        }
        variables.extend(variable(line, &own).with_context(|| format!("line {}", number + 1))?);
    }
    Ok(variables)
}

/// Reads one `--label`: `KEY=VALUE`, or `KEY` for an empty value.
///
/// # Errors
/// When the name is empty, or in the namespace that Gorae keeps for itself.
pub fn label(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    ensure!(!key.is_empty(), "bad label {text:?}: the name is missing");
    ensure!(
        !key.starts_with("dev.gorae."),
        "bad label {text:?}: names that begin with dev.gorae. are reserved for Gorae"
    );
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    fn shown(variables: &[KeyValue]) -> Vec<String> {
        variables.iter().map(|v| format!("{}={}", v.key, String::from_utf8_lossy(&v.value))).collect()
    }

    #[test]
    fn a_variable_has_a_value_or_passes_on_the_shells() {
        let rows = [
            ("A=1", Some("A=1")),
            ("A=", Some("A=")),
            ("A=b=c", Some("A=b=c")),
            ("HOME", Some("HOME=/root")),
            ("NO", None),
        ];
        for (text, expected) in rows {
            let found = variable(text, own).expect(text);
            assert_eq!(shown(found.as_slice()).first().map(String::as_str), expected, "{text}");
        }
        for text in ["", "=x", "A=\0"] {
            assert!(variable(text, own).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn an_env_file_skips_comments_and_keeps_values_as_they_are() {
        let text = "# comment\n\n  A=1 \nB=\"quoted\"\r\nHOME\nMISSING\nC=#not a comment\n";
        assert_eq!(shown(&file(text, own).expect("valid")), ["A=1 ", "B=\"quoted\"", "HOME=/root", "C=#not a comment"]);
        assert!(file("ok=1\nexport A=1\n", own).expect_err("white space").to_string().starts_with("line 2"));
    }

    #[test]
    fn no_error_shows_a_value() {
        for text in ["=s3cret", "KEY=a\0s3cret", "KEY\0s3cret=a"] {
            let error = format!("{:#}", variable(text, own).expect_err("refused"));
            assert!(!error.contains("s3cret"), "{error}");
        }
        for text in ["A=1\n=s3cret\n", "A=1\ns3cret part\n", "A=1\nexport s3cret=1\n"] {
            let error = format!("{:#}", file(text, own).expect_err("refused"));
            assert!(error.starts_with("line 2") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn labels_cannot_pretend_to_be_ours() {
        assert_eq!(label("a=b=c").expect("pair"), ("a".into(), "b=c".into()));
        assert_eq!(label("a").expect("bare"), ("a".into(), "".into()));
        assert!(label("=x").is_err());
        assert!(label("dev.gorae.owner=cli").is_err());
    }
}
