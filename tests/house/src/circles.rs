// SPDX-License-Identifier: Apache-2.0
//! The arrows from file to file, and the circles among them.
//!
//! An arrow leads from a file to each other file that defines something which it names: by a `use`, or by a path in
//! its code. A module that is only passed on the way, and a `mod child;` alone, make no arrow; a re-export does, from
//! the file with the `pub use`.

use crate::house::{End, House};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// For each file, the files that it names something of, and what.
type Arrows<'a> = BTreeMap<&'a Path, BTreeMap<&'a Path, BTreeSet<String>>>;

/// Files each of which can be reached from each other along arrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// The files, below the root of the workspace, in order.
    pub files: Vec<PathBuf>,
    /// The arrows between them: from, to, and the names that the first takes of the second.
    pub arrows: Vec<(PathBuf, PathBuf, Vec<String>)>,
}

/// Shows a file a line, then an arrow a line.
impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a circle of {} files:", self.files.len())?;
        for (from, to, names) in &self.arrows {
            writeln!(f, "  {} -> {}: {}", from.display(), to.display(), names.join(", "))?;
        }
        Ok(())
    }
}

/// Every circle of a house.
#[must_use]
pub fn circles(house: &House) -> Vec<Circle> {
    let arrows = arrows(house);
    let mut search = Search { arrows: &arrows, order: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for file in arrows.keys() {
        if !search.order.contains_key(file) {
            search.visit(file);
        }
    }
    search.found.into_iter().map(|files| circle(&arrows, &files)).collect()
}

fn circle(arrows: &Arrows<'_>, files: &BTreeSet<&Path>) -> Circle {
    let ends = files.iter().flat_map(|from| arrows[from].iter().map(move |(to, names)| (*from, *to, names)));
    let within = ends.filter(|(_, to, _)| files.contains(to));
    let owned = |(from, to, names): (&Path, &Path, &BTreeSet<String>)| {
        (from.to_owned(), to.to_owned(), names.iter().cloned().collect())
    };
    Circle { files: files.iter().map(|file| (*file).to_owned()).collect(), arrows: within.map(owned).collect() }
}

fn arrows(house: &House) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for (at, module) in house.modules.iter().enumerate() {
        let from = arrows.entry(module.file.as_path()).or_default();
        let imports = module.contents.imports.iter().map(|import| &import.path);
        for path in module.contents.paths.iter().chain(imports) {
            let Some((there, name)) = end(house, at, path) else { continue };
            let to = house.modules[there].file.as_path();
            if to != module.file {
                from.entry(to).or_default().insert(name);
            }
        }
    }
    arrows
}

/// The module at which an arrow of this path ends, and the name that it takes there.
fn end(house: &House, module: usize, path: &crate::paths::Path) -> Option<(usize, String)> {
    match house.end(module, path)? {
        End::Item(there, name) => Some((there, name)),
        End::Module(there) if path.words.last().is_some_and(|word| word == "*") => Some((there, "*".into())),
        End::Module(_) => None,
    }
}

/// Tarjan's search for strongly connected components.
struct Search<'a> {
    arrows: &'a Arrows<'a>,
    /// When each file was reached; `None` for one whose component is complete.
    order: BTreeMap<&'a Path, Option<usize>>,
    stack: Vec<&'a Path>,
    /// Components of more than one file.
    found: Vec<BTreeSet<&'a Path>>,
}

impl<'a> Search<'a> {
    /// Returns the earliest file, by its order, that can be reached from this one and is not in a complete component.
    fn visit(&mut self, file: &'a Path) -> usize {
        let reached = self.order.len();
        self.order.insert(file, Some(reached));
        self.stack.push(file);
        let mut earliest = reached;
        for to in self.arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
            match self.order.get(to) {
                None => earliest = earliest.min(self.visit(to)),
                Some(Some(order)) => earliest = earliest.min(*order),
                Some(None) => {}
            }
        }
        if earliest == reached {
            let begin = self.stack.iter().rposition(|other| *other == file).expect("it was pushed above");
            let component: BTreeSet<_> = self.stack.split_off(begin).into_iter().collect();
            self.order.extend(component.iter().map(|done| (*done, None)));
            self.found.extend((component.len() > 1).then_some(component));
        }
        earliest
    }
}

#[cfg(test)]
mod tests {
    use crate::tiny::{circle_files, tree};

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let house = tree(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B; pub struct A;"),
            ("src/b.rs", "pub struct B; fn f() -> super::a::A { todo!() }"),
        ]);
        assert_eq!(circle_files(&house), [["src/a.rs", "src/b.rs"]]);
        let shown = super::circles(&house)[0].to_string();
        assert_eq!(shown, "a circle of 2 files:\n  src/a.rs -> src/b.rs: B\n  src/b.rs -> src/a.rs: A\n");
    }

    #[test]
    fn three_files_in_a_ring_are_one_circle_and_a_file_that_only_names_them_is_not_in_it() {
        let house = tree(&[
            ("src/lib.rs", "mod a; mod b; mod c; mod d; pub use d::D;"),
            ("src/a.rs", "pub fn f() { crate::b::f() }"),
            ("src/b.rs", "use super::c; pub fn f() { c::f() }"),
            ("src/c.rs", "pub fn f() { vec![super::a::f()]; }"),
            ("src/d.rs", "use crate::a; pub struct D; fn f() { a::f() }"),
        ]);
        assert_eq!(circle_files(&house), [["src/a.rs", "src/b.rs", "src/c.rs"]]);
    }

    #[test]
    fn a_parent_and_a_child_that_name_each_others_items_are_a_circle() {
        let house = tree(&[
            ("src/lib.rs", "mod room;"),
            ("src/room/mod.rs", "mod wall; pub use wall::Wall; pub struct Room;"),
            ("src/room/wall.rs", "pub struct Wall(super::Room);"),
        ]);
        assert_eq!(circle_files(&house), [["src/room/mod.rs", "src/room/wall.rs"]]);
    }

    #[test]
    fn a_name_through_a_re_export_leads_to_the_file_that_defines_it() {
        let house = tree(&[
            ("src/lib.rs", "mod room; pub use room::{Wall, Roof};"),
            ("src/room/mod.rs", "mod roof; mod wall; pub use self::wall::Wall as Side; pub use {roof::*, wall::Wall};"),
            ("src/room/wall.rs", "pub struct Wall;"),
            ("src/room/roof.rs", "use super::Side; pub struct Roof(crate::Wall, crate::room::Wall, Side);"),
        ]);
        assert!(circle_files(&house).is_empty(), "{:?}", circle_files(&house));
        let house = tree(&[
            ("src/lib.rs", "mod room;"),
            ("src/room/mod.rs", "mod roof; mod wall; pub use roof::Roof; pub use wall::Wall;"),
            ("src/room/wall.rs", "pub struct Wall(super::Roof);"),
            ("src/room/roof.rs", "pub struct Roof(super::Wall);"),
        ]);
        assert_eq!(circle_files(&house), [["src/room/roof.rs", "src/room/wall.rs"]]);
    }

    #[test]
    fn a_declaration_a_test_a_comment_and_a_path_that_leads_elsewhere_are_no_arrow() {
        let house = tree(&[
            ("src/lib.rs", "mod a; pub struct L;"),
            (
                "src/a.rs",
                "use std::fs; use crate::L; /// See [crate::b::B].\n struct A(fs::File, L); #[cfg(test)] mod tests { use crate::b; }",
            ),
        ]);
        assert!(circle_files(&house).is_empty());
    }

    #[test]
    fn a_module_inside_of_a_file_is_that_file() {
        let house = tree(&[
            ("src/lib.rs", "mod a; mod b { pub mod c; pub struct B; impl super::a::A {} }"),
            ("src/a.rs", "pub struct A(crate::b::B, crate::b::c::C);"),
            ("src/b/c.rs", "pub struct C;"),
        ]);
        assert_eq!(circle_files(&house), [["src/a.rs", "src/lib.rs"]]);
    }

    #[test]
    fn an_exported_macro_and_an_item_with_the_name_of_its_module_are_found_where_they_are() {
        let house = tree(&[
            ("src/lib.rs", "mod a; mod b;"),
            (
                "src/a.rs",
                "#[macro_export] macro_rules! m { () => {} } use super::b::b; mod x { fn f() { super::b() } }",
            ),
            ("src/b/mod.rs", "mod c; pub fn b() { c::f() }"),
            ("src/b/c.rs", "pub fn f() { crate::m!() }"),
        ]);
        assert_eq!(circle_files(&house), [["src/a.rs", "src/b/c.rs", "src/b/mod.rs"]]);
    }

    #[test]
    fn a_path_into_another_crate_leads_to_its_file() {
        let house = tree(&[
            ("src/main.rs", "mod a; fn main() { tiny::room::f(); a::f() }"),
            ("src/a.rs", "pub fn f() { ::tiny::g() }"),
            ("src/lib.rs", "pub mod room; pub use room::g;"),
            ("src/room.rs", "pub fn f() {} pub fn g() {}"),
        ]);
        assert!(circle_files(&house).is_empty());
        let to: Vec<_> = super::arrows(&house)[std::path::Path::new("src/a.rs")].keys().map(|f| f.to_owned()).collect();
        assert_eq!(to, [std::path::Path::new("src/room.rs")]);
    }
}
