// SPDX-License-Identifier: Apache-2.0
//! The rules of the house, held to the sources as they are now.

use gorae_house::circles::circles;
use gorae_house::unused::{sources, unused};
use gorae_house::{House, Manifest, workspace};
use std::path::{Path, PathBuf};

/// Dependencies that no source can name, and why they are there: package, dependency, reason.
const NOT_NAMED: &[(&str, &str, &str)] = &[
    ("gorae-proto", "serde", "the derives that build.rs adds to the generated types"),
    ("gorae-proto", "tonic-prost", "the codec of the generated services"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in the checkout").to_owned()
}

/// The members of the workspace, and the crate of the fuzz targets, which has one of its own.
fn crates() -> Vec<Manifest> {
    let mut crates = workspace(&root());
    crates.push(Manifest::read(&root(), "tests/fuzz"));
    crates
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let found: Vec<_> = circles(&House::read(&root(), &crates())).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} circles; in each, one arrow has to go:\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_dependency_is_named_by_a_source() {
    let found = unused(&root(), &crates());
    let is_known =
        |package: &str, dependency: &str| NOT_NAMED.iter().any(|row| (row.0, row.1) == (package, dependency));
    let new = found.iter().filter(|row| !is_known(&row.package, &row.dependency));
    let new: Vec<_> =
        new.map(|row| format!("{} [{}] {}: {}", row.package, row.section, row.dependency, row.why)).collect();
    assert!(new.is_empty(), "not needed where they stand:\n{}", new.join("\n"));
    for (package, dependency, _) in NOT_NAMED {
        let is_there =
            found.iter().any(|row| (row.package.as_str(), row.dependency.as_str()) == (*package, *dependency));
        assert!(is_there, "{dependency} of {package} is named after all, or gone: take it from the list");
    }
}

#[test]
fn fuzz_targets_take_what_they_fuzz_from_crates() {
    let with_path = |file: &PathBuf| std::fs::read_to_string(file).expect("it is a text").contains("#[path");
    let found: Vec<_> = sources(&root().join("tests/fuzz")).into_iter().filter(with_path).collect();
    assert!(found.is_empty(), "#[path] compiles a file outside of its crate: {found:?}");
}
