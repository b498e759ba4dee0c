// SPDX-License-Identifier: Apache-2.0
//! Houses of a few lines, for tests.

use crate::{House, Manifest, circles::circles};
use std::path::Path;

/// The directory of a crate named `tiny` of these files, and what its manifest says besides.
pub fn files(manifest: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let head = format!("[package]\nname = \"tiny\"\n{manifest}");
    for (file, text) in [("Cargo.toml", head.as_str())].iter().chain(files) {
        let path = directory.path().join(file);
        let above = path.parent().expect("a file has a directory");
        std::fs::create_dir_all(above).and_then(|()| std::fs::write(&path, text)).expect("it can be written");
    }
    directory
}

/// The house of these files alone.
pub fn tree(sources: &[(&str, &str)]) -> House {
    let directory = files("", sources);
    House::read(directory.path(), &[Manifest::read(directory.path(), "")])
}

/// The files of each circle.
pub fn circle_files(house: &House) -> Vec<Vec<String>> {
    let shown = |file: &std::path::PathBuf| Path::new(file).display().to_string();
    circles(house).iter().map(|circle| circle.files.iter().map(shown).collect()).collect()
}
