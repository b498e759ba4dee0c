// SPDX-License-Identifier: Apache-2.0
//! Finds the line of a key in the file, for errors about that key.

use toml::de::{DeTable, DeValue};

/// Puts the key's line in front of an error that begins with a key, if the file has that key.
pub fn with_line(text: &str, sentence: String) -> String {
    let key = sentence.split_once(':').map_or("", |(key, _)| key);
    match line_of(text, key) {
        Some(line) => format!("line {line}: {sentence}"),
        None => sentence,
    }
}

/// The number of the line on which a key appears in the file.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (mut table, mut start) = (table.get_ref().clone(), 0);
    for part in key.split('.') {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        start = name.span().start;
        table = match value.get_ref() {
            DeValue::Table(below) => below.clone(),
            _ => DeTable::new(),
        };
    }
    Some(text[..start].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_its_table_is_written() {
        for (text, key, line) in [
            ("# first\nroot = 1\n", "root", Some(2)),
            ("[images]\n\nparallel_layers = 0", "images.parallel_layers", Some(3)),
            ("images.parallel_layers = 0", "images.parallel_layers", Some(1)),
            ("\nimages = { plain_http = [], parallel_layers = 0 }", "images.parallel_layers", Some(2)),
            ("\n[streaming]\ntls_key = \"/k\"", "streaming", Some(2)),
            ("root = 1", "state", None),
            ("root = 1", "root.below", None),
        ] {
            assert_eq!(line_of(text, key), line, "{key} in {text:?}");
        }
        assert_eq!(with_line("root = 1", "no key: is named".into()), "no key: is named");
    }
}
