// SPDX-License-Identifier: Apache-2.0
//! The crates of a workspace, as their `Cargo.toml` files have them.

use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// One crate.
#[derive(Debug)]
pub struct Manifest {
    /// The package's name.
    pub name: String,
    /// Its directory, below the root of the workspace.
    pub directory: PathBuf,
    /// What the file says.
    pub table: Table,
}

/// The members of the workspace at `root`. Panics when a file cannot be read or is not a manifest.
#[must_use]
pub fn workspace(root: &Path) -> Vec<Manifest> {
    let table = read(&root.join("Cargo.toml"));
    let members = table["workspace"]["members"].as_array().expect("members are a list");
    members.iter().map(|member| Manifest::read(root, member.as_str().expect("a member is a path"))).collect()
}

impl Manifest {
    /// The crate in a directory below `root`. Panics when its file cannot be read or is not a manifest.
    #[must_use]
    pub fn read(root: &Path, directory: &str) -> Self {
        let table = read(&root.join(directory).join("Cargo.toml"));
        let name = table["package"]["name"].as_str().expect("a package has a name").to_owned();
        Self { name, directory: directory.into(), table }
    }

    /// The library's name in Rust and its first file, if there is a library.
    pub(crate) fn library(&self, root: &Path) -> Option<(String, PathBuf)> {
        let said = |key: &str| self.table.get("lib")?.get(key)?.as_str().map(str::to_owned);
        let file = self.directory.join(said("path").unwrap_or_else(|| "src/lib.rs".into()));
        let name = said("name").unwrap_or_else(|| self.name.replace('-', "_"));
        root.join(&file).exists().then_some((name, file))
    }

    /// The first file of each program.
    pub(crate) fn programs(&self, root: &Path) -> Vec<PathBuf> {
        let named = self.table.get("bin").and_then(Value::as_array).into_iter().flatten();
        let mut files: Vec<_> = named.filter_map(|bin| bin.get("path")?.as_str()).map(PathBuf::from).collect();
        files.push("src/main.rs".into());
        let others = std::fs::read_dir(root.join(&self.directory).join("src/bin")).into_iter().flatten().flatten();
        files.extend(others.map(|entry| {
            let file = Path::new("src/bin").join(entry.file_name());
            if entry.path().is_dir() { file.join("main.rs") } else { file }
        }));
        files.sort();
        files.dedup();
        files.into_iter().map(|file| self.directory.join(file)).filter(|file| root.join(file).exists()).collect()
    }

    /// The dependencies of one section, by the name that sources give them.
    pub(crate) fn dependencies(&self, section: &str) -> Vec<String> {
        let section = self.table.get(section).and_then(Value::as_table);
        section.into_iter().flat_map(Table::keys).cloned().collect()
    }
}

pub(crate) fn read(file: &Path) -> Table {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
