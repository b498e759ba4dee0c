// SPDX-License-Identifier: Apache-2.0
//! Tables that name a test for each promise, held to the sources of the tests: a test that is renamed or deleted fails
//! the table.
//!
//! A test is named `SUITE::name`. SUITE is a file or directory of `tests/tests` or `tests/vm`, or `CRATE/PATH` for a file
//! or directory of that crate's own `tests` or `src`. CRATE is the directory of a crate; it may lie in another one's.

use crate::place::checkout;
use std::path::{Path, PathBuf};

/// The rows of `tests/FILE`, cells parted by tabs; comments and empty lines are left out. Panics when one has not so many
/// cells.
#[must_use]
pub fn rows<const CELLS: usize>(file: &str) -> Vec<[String; CELLS]> {
    let path = checkout().join("tests").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| {
        let cells: Vec<_> = line.split('\t').map(str::to_owned).collect();
        cells.try_into().unwrap_or_else(|_| panic!("{line:?} has not {CELLS} cells"))
    })
    .collect()
}

/// What is wrong with a proof that is to be a test's name; `None` when there is that test.
#[must_use]
pub fn no_test(proof: &str) -> Option<String> {
    let Some((suite, name)) = proof.split_once("::") else { return Some(format!("{proof:?} is not SUITE::test")) };
    let found = sources(suite).iter().any(|path| has_test(path, name));
    (!found).then(|| format!("there is no test {name} in {suite}"))
}

/// What is wrong with a proof that is to be a reason; `None` for some words.
#[must_use]
pub fn no_reason(proof: &str) -> Option<String> {
    (proof.split_whitespace().count() < 4).then(|| "says not why".into())
}

/// The sources of a suite.
fn sources(suite: &str) -> Vec<PathBuf> {
    let (base, dirs, suite) = match crate_and_path(suite) {
        Some((krate, path)) => (krate, ["tests", "src"], path),
        None => (checkout().join("tests"), ["tests", "vm"], suite),
    };
    let mut found = Vec::new();
    for place in dirs.map(|dir| base.join(dir).join(suite)) {
        found.push(place.with_extension("rs"));
        let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "rs")));
    }
    found.retain(|path| path.is_file());
    found
}

/// The innermost crate that a suite's name begins with, and what follows.
fn crate_and_path(suite: &str) -> Option<(PathBuf, &str)> {
    let mut crates =
        suite.rmatch_indices('/').map(|(slash, _)| (checkout().join(&suite[..slash]), &suite[slash + 1..]));
    crates.find(|(krate, _)| krate.join("Cargo.toml").is_file())
}

/// Whether a file has a test of that name.
fn has_test(path: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}()");
    lines.iter().enumerate().any(|(at, line)| {
        let before = || lines[..at].iter().rev().take_while(|l| l.starts_with("#["));
        line.trim_start_matches("async ").starts_with(&head) && before().any(|l| l.contains("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_that_is_there_is_a_proof() {
        assert_eq!(no_test("tests/proofs::only_a_test_that_is_there_is_a_proof"), None);
        assert_eq!(no_test("proto/contract::every_field_has_the_number_type_label_and_deprecation_of_the_table"), None);
        let nested = "image-service/digest/lib::a_digest_prints_as_it_was_read";
        assert_eq!(no_test(nested), None, "a crate in another one's directory");
        let absent = no_test("proto/contract::no_such_test");
        assert_eq!(absent.as_deref(), Some("there is no test no_such_test in proto/contract"));
        assert!(no_test("tests/proofs::has_test").is_some(), "a function that is not a test");
        assert!(no_test("exec").is_some() && no_reason("because").is_some());
        assert_eq!(no_reason("a pod has no process"), None);
    }
}
