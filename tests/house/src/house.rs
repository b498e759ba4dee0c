// SPDX-License-Identifier: Apache-2.0
//! All modules of all crates, and where a path leads.

use crate::manifest::Manifest;
use crate::module::Contents;
use crate::paths::Path as Named;
use crate::product;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One module in the tree of its crate.
#[derive(Debug)]
pub(crate) struct Module {
    /// The file that it is in, below the root of the workspace.
    pub file: PathBuf,
    pub contents: Contents,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// In a crate's first module: the macros that all of the crate has, and the modules that define them.
    macros: BTreeMap<String, usize>,
}

/// The modules of a workspace.
#[derive(Debug)]
pub struct House {
    root: PathBuf,
    pub(crate) modules: Vec<Module>,
    /// The root module of each library, by its name in Rust.
    crates: BTreeMap<String, usize>,
}

/// What stands at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Module(usize),
    /// An item, by the module that defines it and its name.
    Item(usize, String),
}

impl House {
    /// Reads every source of these crates that the product is compiled from. Panics at a file that cannot be read.
    #[must_use]
    pub fn read(root: &Path, manifests: &[Manifest]) -> Self {
        let mut house = Self { root: root.to_owned(), modules: Vec::new(), crates: BTreeMap::new() };
        for manifest in manifests {
            if let Some((name, file)) = manifest.library(root) {
                let module = house.file(&file, true, None);
                house.crates.insert(name, module);
            }
            for file in manifest.programs(root) {
                house.file(&file, true, None);
            }
        }
        house
    }

    /// Takes in a file and all below it. The children of an owner (`mod.rs`, a crate's first file) stand beside it.
    fn file(&mut self, file: &Path, is_owner: bool, parent: Option<usize>) -> usize {
        let tokens = product::without_tests(product::tokens(&self.root.join(file)));
        let beside = file.parent().expect("a file has a directory");
        let below = if is_owner { beside.to_owned() } else { file.with_extension("") };
        self.module(file, &below, Contents::read(&tokens), parent)
    }

    fn module(&mut self, file: &Path, below: &Path, mut contents: Contents, parent: Option<usize>) -> usize {
        let (files, inline) = (std::mem::take(&mut contents.files), std::mem::take(&mut contents.inline));
        let exported = std::mem::take(&mut contents.exported);
        let (this, file) = (self.modules.len(), file.to_owned());
        self.modules.push(Module { file, contents, parent, children: BTreeMap::new(), macros: BTreeMap::new() });
        let first = self.first(this);
        self.modules[first].macros.extend(exported.into_iter().map(|name| (name, this)));
        for name in files {
            let (beside, inside) = (below.join(format!("{name}.rs")), below.join(&name).join("mod.rs"));
            let is_inside = self.root.join(&inside).exists();
            let child = self.file(if is_inside { &inside } else { &beside }, is_inside, Some(this));
            self.modules[this].children.insert(name, child);
        }
        for (name, contents) in inline {
            let file = self.modules[this].file.clone();
            let child = self.module(&file, &below.join(&name), contents, Some(this));
            self.modules[this].children.insert(name, child);
        }
        this
    }

    /// The first module of the crate that a module is in.
    fn first(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    /// Where a path of `module` leads; `None` when that is not in this house.
    ///
    /// Re-exports are followed to the definition. An item that cannot be found (a macro makes it) counts as defined in
    /// the module that the path names.
    pub(crate) fn end(&self, module: usize, path: &Named) -> Option<End> {
        self.follow(module, path, &mut BTreeSet::new())
    }

    fn follow(&self, module: usize, path: &Named, seen: &mut BTreeSet<(usize, Vec<String>)>) -> Option<End> {
        if !seen.insert((module, path.words.clone())) {
            return None;
        }
        let (first, rest) = path.words.split_first()?;
        let library = || self.crates.get(first).copied().map(End::Module);
        let mut end = match first.as_str() {
            _ if path.is_absolute => library()?,
            "crate" => End::Module(self.first(module)),
            "self" => End::Module(module),
            "super" => End::Module(self.modules[module].parent?),
            _ => self.name(module, first, rest.is_empty(), seen).or_else(library)?,
        };
        for (at, word) in rest.iter().enumerate() {
            let End::Module(here) = end else { break };
            end = match word.as_str() {
                "*" => return Some(end),
                "super" => End::Module(self.modules[here].parent?),
                "self" => end,
                _ => self.name(here, word, at + 1 == rest.len(), seen).unwrap_or(End::Item(here, word.clone())),
            };
        }
        Some(end)
    }

    /// What a name stands for in a module. Where a module and an item share it, the item is meant at a path's end.
    fn name(&self, module: usize, name: &str, is_last: bool, seen: &mut BTreeSet<(usize, Vec<String>)>) -> Option<End> {
        let Module { contents, children, macros, .. } = &self.modules[module];
        let child = children.get(name).copied().map(End::Module);
        if child.is_some() && !is_last {
            return child;
        }
        if contents.items.contains(name) {
            return Some(End::Item(module, name.to_owned()));
        }
        let imports = contents.imports.iter().filter(|import| import.name == name);
        let imported: Vec<_> =
            imports.filter_map(|import| self.follow(module, &import.path, &mut seen.clone())).collect();
        let is_wanted = |end: &&End| matches!(end, End::Item(..)) == is_last;
        let imported = imported.iter().find(is_wanted).or(imported.first()).cloned();
        let exported = || macros.get(name).map(|there| End::Item(*there, name.to_owned()));
        imported.or(child).or_else(exported).or_else(|| self.in_globs(module, name, is_last, seen))
    }

    /// The same among what `use …::*` brings.
    fn in_globs(&self, module: usize, name: &str, is_last: bool, seen: &BTreeSet<(usize, Vec<String>)>) -> Option<End> {
        let globs = self.modules[module].contents.imports.iter().filter(|import| import.name == "*");
        globs.into_iter().find_map(|glob| {
            let mut seen = seen.clone();
            match self.follow(module, &glob.path, &mut seen)? {
                End::Module(there) => self.name(there, name, is_last, &mut seen),
                End::Item(..) => None,
            }
        })
    }
}
