// SPDX-License-Identifier: Apache-2.0
//! The words for levels and formats, in the configuration, on the command line and at the admin listener.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// An operator has to act.
    Error,
    /// An operator should know.
    Warn,
    /// Changes to pods, containers and images.
    Info,
    /// The steps of these changes.
    Debug,
    /// Everything.
    Trace,
}

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people to read.
    Text,
    /// One JSON object a line.
    Json,
}

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];
const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

impl FromStr for Level {
    type Err = String;

    /// Parses the word for a level; the error lists all of them.
    fn from_str(word: &str) -> Result<Self, String> {
        one_of(&LEVELS, word)
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let word = LEVELS.iter().find(|(_, level)| level == self).map_or("info", |(word, _)| word);
        f.write_str(word)
    }
}

impl FromStr for Format {
    type Err = String;

    /// Parses the word for a format; the error lists both.
    fn from_str(word: &str) -> Result<Self, String> {
        one_of(&FORMATS, word)
    }
}

fn one_of<T: Copy>(known: &[(&str, T)], word: &str) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let (word, names): (String, Vec<_>) =
            (word.chars().take(32).collect(), known.iter().map(|(n, _)| *n).collect());
        format!("{word:?} is not one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_a_format_are_words_and_others_are_refused_with_the_list() {
        for (word, level) in LEVELS {
            assert_eq!((word.parse(), level.to_string()), (Ok(level), word.to_owned()));
        }
        let error = "loud".parse::<Level>().expect_err("unknown");
        assert_eq!(error, "\"loud\" is not one of error, warn, info, debug, trace");
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("JSON".parse::<Format>().expect_err("unknown"), "\"JSON\" is not one of text, json");
        assert!("x".repeat(5000).parse::<Format>().expect_err("unknown").len() < 100);
    }
}
