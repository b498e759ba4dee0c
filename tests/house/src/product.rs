// SPDX-License-Identifier: Apache-2.0
//! The tokens of a source file without what only tests compile.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::Path;

/// The tokens of a file. Panics when it cannot be read or is not Rust.
pub fn tokens(file: &Path) -> Vec<TokenTree> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let stream: TokenStream = text.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    stream.into_iter().collect()
}

/// The same tokens, at every depth, without items, fields and statements that have `#[test]` or `#[cfg(test)]`.
/// Nothing is left of a file with `#![cfg(test)]`.
pub fn without_tests(tokens: impl IntoIterator<Item = TokenTree>) -> Vec<TokenTree> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if let Some((attribute, is_inner, length)) = attribute(&tokens[at..]) {
            match (is_for_tests(&attribute), is_inner) {
                (true, true) => return Vec::new(),
                (true, false) => at = end_of_item(&tokens, at),
                (false, _) => {
                    kept.extend_from_slice(&tokens[at..at + length]);
                    at += length;
                }
            }
            continue;
        }
        kept.push(match &tokens[at] {
            TokenTree::Group(group) => {
                let inside = without_tests(group.stream()).into_iter().collect();
                proc_macro2::Group::new(group.delimiter(), inside).into()
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept
}

/// The attribute with which the tokens begin: its words, whether it is an inner one, how many tokens it takes.
fn attribute(tokens: &[TokenTree]) -> Option<(Vec<TokenTree>, bool, usize)> {
    let group = |at: usize| match tokens.get(at) {
        Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Bracket => Some(g.stream().into_iter().collect()),
        _ => None,
    };
    match (is(tokens.first(), '#'), is(tokens.get(1), '!')) {
        (true, true) => group(2).map(|words| (words, true, 3)),
        (true, false) => group(1).map(|words| (words, false, 2)),
        _ => None,
    }
}

/// Whether an attribute says that only tests have what follows: `test`, `tokio::test`, `cfg(test)`, `cfg(all(test, …))`.
fn is_for_tests(words: &[TokenTree]) -> bool {
    let word = |token: &TokenTree, expected: &str| matches!(token, TokenTree::Ident(i) if *i == expected);
    let cfg_of_test = |group: &TokenTree| {
        let TokenTree::Group(group) = group else { return false };
        let inside: Vec<_> = group.stream().into_iter().collect();
        match inside.as_slice() {
            [only] => word(only, "test"),
            [all, TokenTree::Group(list)] if word(all, "all") => list.stream().into_iter().any(|t| word(&t, "test")),
            _ => false,
        }
    };
    match words {
        [cfg, rest] if word(cfg, "cfg") => cfg_of_test(rest),
        [name, ..] if word(name, "test") => true,
        [_, _, _, name, ..] => word(&words[0], "tokio") && word(name, "test"),
        _ => false,
    }
}

/// Where the item, field or statement ends that begins at `at` with attributes.
fn end_of_item(tokens: &[TokenTree], mut at: usize) -> usize {
    while let Some((_, _, length)) = attribute(&tokens[at..]) {
        at += length;
    }
    let ends_at_semicolon = ends_at_semicolon(&tokens[at..]);
    while let Some(token) = tokens.get(at) {
        at += 1;
        let ends = match token {
            TokenTree::Punct(p) => p.as_char() == ';' || (p.as_char() == ',' && !ends_at_semicolon),
            TokenTree::Group(g) => g.delimiter() == Delimiter::Brace && !ends_at_semicolon,
            _ => false,
        };
        if ends {
            break;
        }
    }
    at
}

/// Whether what begins here is of a kind that can have braces before its end.
fn ends_at_semicolon(tokens: &[TokenTree]) -> bool {
    let words = tokens.iter().filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        _ => None,
    });
    let mut words = words.skip_while(|word| word == "pub");
    match words.next().as_deref() {
        Some("use" | "static" | "type" | "let") => true,
        Some("const") => !matches!(words.next().as_deref(), Some("fn" | "unsafe" | "async" | "extern")),
        _ => false,
    }
}

fn is(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_compile_is_left_out() {
        let rows = [
            ("#[cfg(test)] mod tests { fn f() {} } fn g() {}", "fn g() {}"),
            ("#[cfg(test)] mod tests; fn g() {}", "fn g() {}"),
            ("#[cfg(test)] use a::{b, c}; fn g() {}", "fn g() {}"),
            ("#[cfg(test)] pub(crate) const A: B = B { c: 1 }; fn g() {}", "fn g() {}"),
            ("#[cfg(test)] const fn f() {} fn g() {}", "fn g() {}"),
            ("#[test] fn f() {} fn g() {}", "fn g() {}"),
            ("#[tokio::test(flavor = \"x\")] #[ignore] async fn f() {} fn g() {}", "fn g() {}"),
            ("struct S { #[cfg(test)] a: A, b: B }", "struct S { b: B }"),
            ("fn g() { #[cfg(all(test, unix))] let a = { 1 }; b() }", "fn g() { b() }"),
            ("#[cfg(not(test))] fn g() {}", "#[cfg(not(test))] fn g() {}"),
            ("#[derive(Debug)] struct S;", "#[derive(Debug)] struct S;"),
            ("#![cfg(test)] fn g() {}", ""),
        ];
        for (text, expected) in rows {
            let tokens = text.parse::<TokenStream>().expect("it is Rust");
            let left: TokenStream = without_tests(tokens).into_iter().collect();
            let expected: TokenStream = expected.parse().expect("it is Rust");
            assert_eq!(left.to_string(), expected.to_string(), "{text}");
        }
    }
}
