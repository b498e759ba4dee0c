// SPDX-License-Identifier: Apache-2.0
//! A module, be it a file of its own or braces in another one: what it contains and what it names.

use crate::paths::{self, Import, Path};
use proc_macro2::{Delimiter, TokenTree};
use std::collections::BTreeSet;

/// What one module says of itself.
#[derive(Debug, Default)]
pub struct Contents {
    /// `mod NAME;`: children with a file each. Those with `#[path]` belong to another tree and are left out.
    pub files: Vec<String>,
    /// `mod NAME { … }`.
    pub inline: Vec<(String, Contents)>,
    /// Names of the functions, types, constants and macros that are defined here.
    pub items: BTreeSet<String>,
    /// Macros that the whole crate has.
    pub exported: BTreeSet<String>,
    /// What each `use` brings, those inside of functions too.
    pub imports: Vec<Import>,
    /// Every other path.
    pub paths: Vec<Path>,
}

impl Contents {
    /// Reads the tokens of a module.
    pub fn read(tokens: &[TokenTree]) -> Self {
        let mut contents = Self::default();
        let mut rest = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            at += contents.child(&tokens[at..], is_elsewhere(&tokens[..at])).unwrap_or_else(|| {
                contents.item(&tokens[at..], is_exported(&tokens[..at]));
                rest.push(tokens[at].clone());
                1
            });
        }
        (contents.paths, contents.imports) = paths::all(rest);
        contents
    }

    /// Takes a child module, if the tokens begin with one: how many of them it takes.
    fn child(&mut self, tokens: &[TokenTree], is_elsewhere: bool) -> Option<usize> {
        let [TokenTree::Ident(keyword), TokenTree::Ident(name), body, ..] = tokens else { return None };
        if *keyword != "mod" {
            return None;
        }
        match body {
            TokenTree::Group(group) => {
                let inside: Vec<_> = group.stream().into_iter().collect();
                self.inline.push((name.to_string(), Self::read(&inside)));
            }
            _ if is_elsewhere => {}
            _ => self.files.push(name.to_string()),
        }
        Some(3)
    }

    /// Notes the item that these tokens begin to define, if they do.
    fn item(&mut self, tokens: &[TokenTree], is_exported: bool) {
        let name = match tokens {
            [TokenTree::Ident(keyword), TokenTree::Ident(name), ..] if defines(&keyword.to_string()) => name,
            [TokenTree::Ident(keyword), TokenTree::Punct(_), TokenTree::Ident(name), ..]
                if *keyword == "macro_rules" =>
            {
                if is_exported {
                    self.exported.insert(name.to_string());
                }
                name
            }
            _ => return,
        };
        self.items.insert(name.to_string());
    }
}

/// Whether a keyword stands before the name of an item. `const fn f` notes a constant `fn`, which nothing can name.
fn defines(keyword: &str) -> bool {
    ["fn", "struct", "enum", "union", "trait", "type", "const", "static"].contains(&keyword)
}

/// Whether the attributes at the end of the tokens give a module another file: `#[path = "…"]`.
fn is_elsewhere(before: &[TokenTree]) -> bool {
    attributes(before).any(|words| words.starts_with("path"))
}

fn is_exported(before: &[TokenTree]) -> bool {
    attributes(before).any(|words| words.starts_with("macro_export"))
}

/// The attributes with which the tokens end, but for a visibility after them.
fn attributes(before: &[TokenTree]) -> impl Iterator<Item = String> {
    let visibility = |token: &&TokenTree| match token {
        TokenTree::Ident(word) => *word == "pub",
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        _ => false,
    };
    let attribute = |token: &TokenTree| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(Some(group.stream().to_string())),
        TokenTree::Punct(sign) if sign.as_char() == '#' => Some(None),
        _ => None,
    };
    before.iter().rev().skip_while(visibility).map_while(attribute).flatten()
}
