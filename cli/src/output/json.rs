// SPDX-License-Identifier: Apache-2.0
//! JSON for `--format json`: with the CRI's own names, and harmless to a terminal.

use crate::output::escape::acts;
use gorae_proto::cri;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Keys of maps whose own keys are not the CRI's: those stay as they are.
const FOREIGN: &[&str] = &["labels", "annotations", "sysctls", "unified", "info"];

/// Formats a value as indented JSON that ends with a line end.
///
/// # Errors
/// When the value has no JSON form.
pub fn text(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(escaped(&serde_json::to_string_pretty(value)?) + "\n")
}

/// Escapes the control characters above U+007E, which JSON allows in strings, so that no value can act on the terminal. The
/// value stays the same.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if acts(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("strings do not fail");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A CRI message as JSON, complete: keys in camel case, enums by name.
///
/// # Errors
/// When the message has no JSON form.
pub fn message(message: &impl Serialize) -> anyhow::Result<Value> {
    Ok(named(serde_json::to_value(message)?))
}

fn named(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().map(entry).collect::<Map<_, _>>()),
        Value::Array(items) => Value::Array(items.into_iter().map(named).collect()),
        other => other,
    }
}

fn entry((key, value): (String, Value)) -> (String, Value) {
    let value = match enum_name(&key, &value) {
        Some(name) => Value::String(name.to_owned()),
        None if FOREIGN.contains(&key.as_str()) => value,
        None => named(value),
    };
    (camel(&key), value)
}

/// The name of an enum's number, for keys that hold an enum. `state` is left to the caller, which knows whose state it is.
fn enum_name(key: &str, value: &Value) -> Option<&'static str> {
    let number = i32::try_from(value.as_i64()?).ok()?;
    match key {
        "propagation" => cri::MountPropagation::try_from(number).ok().map(|e| e.as_str_name()),
        "stop_signal" => cri::Signal::try_from(number).ok().map(|e| e.as_str_name()),
        "protocol" => cri::Protocol::try_from(number).ok().map(|e| e.as_str_name()),
        "network" | "pid" | "ipc" | "mode" => cri::NamespaceMode::try_from(number).ok().map(|e| e.as_str_name()),
        _ => None,
    }
}

fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut upper = false;
    for c in key.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// The `info` of a verbose response: values that are valid JSON become JSON, others stay text.
pub fn info(info: &std::collections::HashMap<String, String>) -> Value {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    Value::Object(info.iter().map(|(key, text)| (key.clone(), value(text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn control_characters_are_escaped_and_the_value_is_unchanged() {
        let value = json!({ "evil": "\x1b[2J\u{9b}\u{202e}\x7f\n", "fine": "漢" });
        let text = text(&value).expect("json");
        assert!(!text.chars().any(|c| acts(c) && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("still json"), value);
    }

    #[test]
    fn messages_have_the_names_of_the_cri() {
        let mount = cri::Mount { host_path: "/a".into(), propagation: 2, ..Default::default() };
        let status = cri::ContainerStatus {
            created_at: 5,
            labels: [("my_key".to_owned(), "v".to_owned())].into(),
            mounts: vec![mount],
            stop_signal: 23,
            ..Default::default()
        };
        let json = message(&status).expect("json");
        assert_eq!(json["createdAt"], 5);
        assert_eq!(json["labels"], json!({ "my_key": "v" }));
        assert_eq!(json["mounts"][0]["hostPath"], "/a");
        assert_eq!(json["mounts"][0]["propagation"], "PROPAGATION_BIDIRECTIONAL");
        assert_eq!(json["stopSignal"], "SIGNAL_SIGTERM");
    }

    #[test]
    fn info_values_are_unfolded() {
        let map = [("info".to_owned(), "{\"pid\":1}".to_owned()), ("note".to_owned(), "not json".to_owned())].into();
        assert_eq!(info(&map), json!({ "info": { "pid": 1 }, "note": "not json" }));
    }
}
