// SPDX-License-Identifier: Apache-2.0
//! `--filter KEY=VALUE` of the lists and of `prune`.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, HashMap};

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

/// Whether an object passes: with one of the values of each key, but with all that `label` has, as with Docker.
///
/// `fits` is asked for one key, other than `label`, and one of its values.
pub fn pass(filters: &Filters, label: impl Fn(&str) -> bool, fits: impl Fn(&str, &str) -> bool) -> bool {
    filters.iter().all(|(key, values)| match key.as_str() {
        "label" => values.iter().all(|value| label(value)),
        _ => values.iter().any(|value| fits(key, value)),
    })
}

/// Whether an object with these labels passes one value of `label`.
pub fn has_label(labels: &HashMap<String, String>, text: &str) -> bool {
    let (key, value) = label(text);
    labels.get(key).is_some_and(|own| value.is_none_or(|value| value == own))
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

    fn read(texts: &[&str]) -> Result<Filters> {
        filters(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), &["label", "name"])
    }

    #[test]
    fn filters_are_collected_by_key() {
        let found = read(&["name=a", "label=x=1", "name=b"]).expect("valid");
        assert_eq!((found["name"].join(" ").as_str(), found["label"].join(" ").as_str()), ("a b", "x=1"));
        assert_eq!((label("x=1"), label("x")), (("x", Some("1")), ("x", None)));
        for (text, said) in [("name", "KEY=VALUE"), ("names=a", "the keys are label, name"), ("", "KEY=VALUE")] {
            let error = read(&[text]).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn names_widen_and_labels_narrow() {
        let labels = [("x", "1"), ("y", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (texts, passes) in [
            (&[][..], true),
            (&["name=a"], true),
            (&["name=b", "name=a"], true),
            (&["name=b"], false),
            (&["label=x", "label=y="], true),
            (&["label=x=1", "label=z"], false),
            (&["label=x=2"], false),
            (&["label=x", "name=b"], false),
        ] {
            let filters = read(texts).expect("valid");
            let found = pass(&filters, |text| has_label(&labels, text), |_, name| name == "a");
            assert_eq!(found, passes, "{texts:?}");
        }
    }
}
