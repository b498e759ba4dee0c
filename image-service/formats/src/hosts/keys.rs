// SPDX-License-Identifier: Apache-2.0
//! The keys of a hosts.toml. Later versions of containerd have more keys, and programs often generate the file. So an
//! unknown key must not break every pull: it is logged and ignored. Pure except for the log.

use crate::reference::without_userinfo_of_host;
use std::path::Path;
use toml::{Table, Value};

/// The keys of one host.
const OF_A_HOST: [&str; 8] =
    ["capabilities", "ca", "client", "skip_verify", "override_path", "header", "dial_timeout", "proxy"];
/// The known capabilities. Only the first two matter here.
const CAPABILITIES: [&str; 4] = ["pull", "resolve", "push", "referrers"];
/// Most log lines about one file.
const MAX_LINES: usize = 20;
/// Characters of a key that are shown.
const SHOWN: usize = 60;

/// Logs each unknown key and capability in `text`, with the path of the file. Values are never shown.
pub fn tell_unknown(path: &Path, text: &str) {
    for key in unknown(text).iter().take(MAX_LINES) {
        tracing::warn!(path = %path.display(), key, "hosts.toml has an unknown key or capability: ignored");
    }
}

/// The unknown keys, each with the table that contains it.
fn unknown(text: &str) -> Vec<String> {
    let Ok(file) = text.parse::<Table>() else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in &file {
        match (key.as_str(), value) {
            ("server", _) => {}
            ("host", Value::Table(hosts)) => {
                for (host, table) in hosts {
                    let place = format!("host.{:?}.", shown(host));
                    table
                        .as_table()
                        .into_iter()
                        .flatten()
                        .for_each(|(key, value)| check(&place, key, value, &mut found));
                }
            }
            (key, value) => check("", key, value, &mut found),
        }
    }
    found
}

fn check(place: &str, key: &str, value: &Value, found: &mut Vec<String>) {
    if !OF_A_HOST.contains(&key) {
        found.push(format!("{place}{}", shown(key)));
    }
    if let ("capabilities", Value::Array(list)) = (key, value) {
        let words = list.iter().filter_map(Value::as_str);
        let unknown = words.filter(|word| !CAPABILITIES.contains(&word.to_lowercase().as_str()));
        found.extend(unknown.map(|word| format!("{place}capabilities: {}", shown(word))));
    }
}

/// Prepares a key for the log. A host may be written with a password, which is removed.
fn shown(key: &str) -> String {
    without_userinfo_of_host(key).chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_capabilities_are_named_with_their_table_and_without_values() {
        let text = "server = \"https://a\"\nmirror = \"s3cret\"\ncapabilities = [\"PULL\", \"fly\"]\n[header]\nx = \"s3cret\"\n\
                    [host.\"https://b\"]\nca = \"x\"\nskip_verfy = \"s3cret\"\ndial_timeout = \"1s\"\nproxy = \"http://p\"\n\
                    [host.\"https://b\".header]\ny = \"s3cret\"\n[host.\"https://u:s3cret@c\".host.\"https://d\"]\ny = 1\n";
        assert_eq!(unknown(text), ["capabilities: fly", "host.\"https://b\".skip_verfy", "host.\"c\".host", "mirror"]);
    }

    #[test]
    fn what_is_all_known_or_no_toml_is_not_told() {
        for text in
            ["", "x", "server = \"a\"\n", "[host]\n", "host = 1\n", "[host.\"a\"]\ncapabilities = [\"referrers\"]\n"]
        {
            let none = unknown(text);
            assert!(none.is_empty() || text == "host = 1\n", "{text:?}: {none:?}");
        }
    }
}
