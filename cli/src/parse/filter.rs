// SPDX-License-Identifier: Apache-2.0
//! `--filter KEY=VALUE` of the lists and of `prune`.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// Filters as typed, by key; a key may have several values.
pub type Filters = BTreeMap<String, Vec<String>>;

/// Reads all `--filter` of a command that knows `keys`.
///
/// # Errors
/// When one has another form, or a key that the command does not know.
pub fn filters(texts: &[String], keys: &[&str]) -> Result<Filters> {
    let mut all = Filters::new();
    for text in texts {
        let (key, value) =
            text.split_once('=').with_context(|| format!("bad filter {text:?}: the form is KEY=VALUE"))?;
        ensure!(keys.contains(&key), "bad filter {text:?}: the keys are {}", keys.join(", "));
        all.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    Ok(all)
}

/// Splits the value of a `label` filter: `KEY`, which stands for any value, or `KEY=VALUE`.
pub fn label(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_collected_by_key() {
        let texts = ["name=a", "label=x=1", "name=b"].map(str::to_owned);
        let found = filters(&texts, &["label", "name"]).expect("valid");
        assert_eq!((found["name"].join(" ").as_str(), found["label"].join(" ").as_str()), ("a b", "x=1"));
        assert_eq!((label("x=1"), label("x")), (("x", Some("1")), ("x", None)));
        for (text, said) in [("name", "KEY=VALUE"), ("names=a", "the keys are label, name"), ("", "KEY=VALUE")] {
            let error = filters(&[text.to_owned()], &["label", "name"]).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
