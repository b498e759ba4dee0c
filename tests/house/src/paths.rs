// SPDX-License-Identifier: Apache-2.0
//! Every path in the tokens of a file, and the name that a `use` gives to what is at its end.

use proc_macro2::TokenTree;

/// A path as it is written: `crate::pod::Pod`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Whether it begins with `::`, so that its first word is a crate.
    pub is_absolute: bool,
    /// Its words, `crate`, `super` and `self` among them; the last may be `*`.
    pub words: Vec<String>,
}

/// What a `use` brings into scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Where it is.
    pub path: Path,
    /// What it is called here; `*` for everything that is there.
    pub name: String,
}

/// The imports of a `use`, whose tokens between `use` and `;` these are.
pub fn imports(tokens: &[TokenTree]) -> Vec<Import> {
    let mut found = Vec::new();
    branch(tokens, &Path::default(), &mut found);
    found
}

/// One branch of a `use` below `above`: `a::b`, `a::b as c`, `a::*`, `a::{…}`.
fn branch(tokens: &[TokenTree], above: &Path, found: &mut Vec<Import>) {
    let mut path = above.clone();
    let mut name = None;
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if *word == "as" => name = tokens.next().map(ToString::to_string),
            TokenTree::Ident(word) => path.words.push(word.to_string()),
            TokenTree::Punct(sign) if sign.as_char() == '*' => path.words.push("*".into()),
            TokenTree::Punct(_) => path.is_absolute |= path.words.is_empty(),
            TokenTree::Group(group) => {
                let inside: Vec<_> = group.stream().into_iter().collect();
                let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                return inside.split(comma).filter(|b| !b.is_empty()).for_each(|b| branch(b, &path, found));
            }
            TokenTree::Literal(_) => {}
        }
    }
    // `a::{self}` is `a`.
    if path.words.len() > 1 && path.words.last().is_some_and(|word| word == "self") {
        path.words.pop();
    }
    let name = name.or_else(|| path.words.last().cloned()).unwrap_or_default();
    found.push(Import { path, name });
}

/// Every path of two words or more, and every import, at any depth.
pub fn all(tokens: impl IntoIterator<Item = TokenTree>) -> (Vec<Path>, Vec<Import>) {
    let (mut paths, mut imported) = (Vec::new(), Vec::new());
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if *word == "use" => {
                let length = tokens[at..].iter().take_while(|t| !is_sign(Some(t), ';')).count();
                imported.extend(imports(&tokens[at + 1..at + length]));
                at += length;
            }
            TokenTree::Ident(word) if is_keyword(&word.to_string()) => at += 1,
            TokenTree::Ident(_) => {
                let (path, length) = path(&tokens[at..], at >= 2 && is_separator(&tokens[at - 2..]));
                paths.extend((path.words.len() > 1).then_some(path));
                at += length;
            }
            TokenTree::Group(group) => {
                let (more, imports) = all(group.stream());
                paths.extend(more);
                imported.extend(imports);
                at += 1;
            }
            _ => at += 1,
        }
    }
    (paths, imported)
}

/// The path with which the tokens begin, and how many of them it takes.
fn path(tokens: &[TokenTree], is_absolute: bool) -> (Path, usize) {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        words.push(word.to_string());
        at += 1;
        if !is_separator(&tokens[at..]) || !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    (Path { is_absolute, words }, at)
}

/// Whether a word can stand before the `::` of an absolute path, without being part of it.
fn is_keyword(word: &str) -> bool {
    let type_words = ["as", "const", "dyn", "for", "impl", "mut", "where"];
    type_words.contains(&word) || ["else", "if", "in", "match", "move", "return", "while"].contains(&word)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    is_sign(tokens.first(), ':') && is_sign(tokens.get(1), ':')
}

fn is_sign(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let shown = |path: &Path| format!("{}{}", if path.is_absolute { "::" } else { "" }, path.words.join("::"));
        let (paths, imports) = all(text.parse::<proc_macro2::TokenStream>().expect("it is Rust"));
        let imports = imports.iter().map(|i| format!("{} as {}", shown(&i.path), i.name));
        (paths.iter().map(shown).collect(), imports.collect())
    }

    #[test]
    fn a_tree_of_imports_is_read_branch_by_branch() {
        let (paths, imports) =
            read("pub use crate::a::{self, b as c, d::{E, F}, g::*}; use ::h; use {super::i, j::k};");
        let expected = [
            "crate::a as a",
            "crate::a::b as c",
            "crate::a::d::E as E",
            "crate::a::d::F as F",
            "crate::a::g::* as *",
            "::h as h",
            "super::i as i",
            "j::k as k",
        ];
        assert_eq!(imports, expected);
        assert!(paths.is_empty(), "{paths:?}");
    }

    #[test]
    fn paths_are_found_in_types_bodies_and_macros() {
        let text = "fn f(a: &super::A) -> x::B<crate::C> { use y::z; vec![self::d(), q.e::<T>(), <A as ::g::H>::i()] }";
        let (paths, imports) = read(text);
        assert_eq!(paths, ["super::A", "x::B", "crate::C", "self::d", "::g::H"]);
        assert_eq!(imports, ["y::z as z"]);
    }
}
