// SPDX-License-Identifier: Apache-2.0
//! Dependencies that no source names.
//!
//! A source names a crate at the beginning of a path or of a `use`. What only generated code names, or what is there for
//! its features alone, cannot be seen: the caller must know of those.

use crate::House;
use crate::manifest::{self, Manifest};
use crate::{paths, product};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A line of a manifest that nothing needs where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unused {
    /// The package; `workspace` for the list that packages take from.
    pub package: String,
    /// The dependency, as the manifest calls it.
    pub dependency: String,
    /// The section that it stands in.
    pub section: &'static str,
    /// What is wrong with that.
    pub why: &'static str,
}

/// The dependencies of these crates that their sources do not name, and those of the workspace that no crate takes.
#[must_use]
pub fn unused(root: &Path, manifests: &[Manifest]) -> Vec<Unused> {
    let mut found: Vec<_> = manifests.iter().flat_map(|manifest| of_crate(root, manifest)).collect();
    let taken: BTreeSet<_> =
        manifests.iter().flat_map(|m| SECTIONS.iter().flat_map(|section| m.dependencies(section))).collect();
    let table = manifest::read(&root.join("Cargo.toml"));
    let listed = table.get("workspace").and_then(|w| w.get("dependencies")?.as_table()).into_iter().flatten();
    found.extend(listed.filter(|(name, _)| !taken.contains(*name)).map(|(name, _)| Unused {
        package: "workspace".into(),
        dependency: name.clone(),
        section: "dependencies",
        why: "no crate takes it",
    }));
    found
}

const SECTIONS: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

fn of_crate(root: &Path, manifest: &Manifest) -> Vec<Unused> {
    let directory = root.join(&manifest.directory);
    let (mut product, mut tests, mut build) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for module in House::read(root, std::slice::from_ref(manifest)).modules {
        let imports = module.contents.imports.into_iter().map(|import| import.path);
        product
            .extend(module.contents.paths.into_iter().chain(imports).filter_map(|path| path.words.into_iter().next()));
    }
    for file in test_directories(manifest).iter().flat_map(|below| sources(&directory.join(below))) {
        first_words(&file, &mut tests);
    }
    if directory.join("build.rs").exists() {
        first_words(&directory.join("build.rs"), &mut build);
    }
    let judge = |section, name: &String| {
        let word = name.replace('-', "_");
        match section {
            "dependencies" if product.contains(&word) => None,
            "dependencies" if tests.contains(&word) => Some("only tests name it: it belongs to [dev-dependencies]"),
            "build-dependencies" if build.contains(&word) => None,
            "dev-dependencies" if tests.contains(&word) => None,
            _ => Some("no source names it"),
        }
    };
    let all =
        SECTIONS.iter().flat_map(|section| manifest.dependencies(section).into_iter().map(move |d| (*section, d)));
    let package = &manifest.name;
    all.filter_map(|(section, dependency)| {
        judge(section, &dependency).map(|why| Unused { package: package.clone(), dependency, section, why })
    })
    .collect()
}

/// Where a crate has what tests, examples and benchmarks are made of.
fn test_directories(manifest: &Manifest) -> Vec<PathBuf> {
    let named = ["test", "example", "bench"].iter().filter_map(|kind| manifest.table.get(*kind)?.as_array()).flatten();
    let named = named.filter_map(|target| Some(Path::new(target.get("path")?.as_str()?).parent()?.to_owned()));
    ["src", "tests", "examples", "benches"].into_iter().map(PathBuf::from).chain(named).collect()
}

/// Every Rust file below a directory, but for crates inside of it.
pub fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every word of a file that stands where a crate may stand.
fn first_words(file: &Path, found: &mut BTreeSet<String>) {
    let (paths, imports) = paths::all(product::tokens(file));
    let all = paths.into_iter().chain(imports.into_iter().map(|import| import.path));
    found.extend(all.filter_map(|path| path.words.into_iter().next()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny;

    #[test]
    fn each_dependency_is_looked_for_where_its_section_says() {
        let manifest = "
            [dependencies]\nin-use = '1'\nin-path = '1'\nin-attribute = '1'\nin-tests = '1'\nnowhere = '1'
            renamed = { package = 'other', version = '1' }\noptional = { version = '1', optional = true }
            [build-dependencies]\nbuilds = '1'\nlazy = '1'
            [dev-dependencies]\nin-tests-of-source = '1'\nin-a-suite = '1'\nforgotten = '1'
            [[test]]\nname = 'far'\npath = 'far/main.rs'
            [workspace.dependencies]\nin-use = '1'\nnobody = '1'";
        let lib = "
            use in_use::A; use renamed as r; mod nowhere {}
            #[in_attribute::main] fn f(a: ::in_path::A) {} #[cfg(feature = \"o\")] fn g() { optional::f() }
            #[cfg(test)] mod tests { use in_tests; use in_tests_of_source::A; }";
        let sources =
            [("src/lib.rs", lib), ("build.rs", "fn main() { builds::f() }"), ("far/main.rs", "use in_a_suite;")];
        let directory = tiny::files(manifest, &sources);
        let found = unused(directory.path(), &[Manifest::read(directory.path(), "")]);
        let found: Vec<_> =
            found.iter().map(|u| (u.package.as_str(), u.section, u.dependency.as_str(), u.why)).collect();
        let expected = [
            ("tiny", "dependencies", "in-tests", "only tests name it: it belongs to [dev-dependencies]"),
            ("tiny", "dependencies", "nowhere", "no source names it"),
            ("tiny", "build-dependencies", "lazy", "no source names it"),
            ("tiny", "dev-dependencies", "forgotten", "no source names it"),
            ("workspace", "dependencies", "nobody", "no crate takes it"),
        ];
        assert_eq!(found, expected);
    }
}
