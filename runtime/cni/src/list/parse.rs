// SPDX-License-Identifier: Apache-2.0
//! Reads a network configuration as libcni does, which all of its authors have tried theirs with.

use super::definition::List;
use super::invalid::Invalid;
use super::plugin::Plugin;
use crate::name::is_network_name;
use crate::version::{Unknown, Version};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Largest configuration file, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most plugins of one network.
pub const MAX_PLUGINS: usize = 64;

/// Reads a configuration: a list of plugins, or the older form of a single one, which has a type. `extra` reads the plugins
/// in the directory that is named like the network, which belong to its list unless it says otherwise.
///
/// # Errors
/// [`Invalid`], also of `extra`.
pub fn parse(bytes: &[u8], extra: impl FnOnce(&str) -> Result<Vec<Plugin>, Invalid>) -> Result<List, Invalid> {
    let object = object(bytes)?;
    let single = object.get("type").is_some_and(|kind| !kind.is_null());
    of_object(object, single, extra)
}

/// Reads a list of plugins: a file whose name says so is never a single one, whatever keys it has.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_list(bytes: &[u8], extra: impl FnOnce(&str) -> Result<Vec<Plugin>, Invalid>) -> Result<List, Invalid> {
    of_object(object(bytes)?, false, extra)
}

/// Reads JSON. Bytes that are not text are read as libcni reads them, as U+FFFD.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_str(&String::from_utf8_lossy(bytes))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Invalid> {
    if bytes.len() > MAX_BYTES {
        return Err(Invalid::new(format!("it is larger than {MAX_BYTES} bytes")));
    }
    json(bytes).map_err(|e| broken(&e))
}

fn of_object(
    object: Map<String, Value>,
    single: bool,
    extra: impl FnOnce(&str) -> Result<Vec<Plugin>, Invalid>,
) -> Result<List, Invalid> {
    let name = match object.get("name") {
        Some(Value::String(name)) if is_network_name(name) => name.clone(),
        Some(Value::String(name)) => return Err(Invalid::new(format!("{name:?} is not a name of a network"))),
        _ => return Err(Invalid::new("it has no name")),
    };
    let (version, disable_check) = (version(&object)?, flag(&object, "disableCheck")?);
    let (disable_gc, only_inlined) = (flag(&object, "disableGC")?, flag(&object, "loadOnlyInlinedPlugins")?);
    let mut plugins = match object.get("plugins") {
        _ if single => vec![Plugin::new(Value::Object(object))?],
        Some(Value::Array(plugins)) if !plugins.is_empty() => {
            plugins.iter().cloned().map(Plugin::new).collect::<Result<Vec<_>, _>>()?
        }
        None if !only_inlined => Vec::new(),
        _ => return Err(Invalid::new("its plugins are not a list with at least one of them")),
    };
    if !single && !only_inlined {
        plugins.extend(extra(&name)?);
    }
    match plugins.len() {
        0 => Err(Invalid::new("it has no plugins")),
        n if n > MAX_PLUGINS => Err(Invalid::new(format!("it has more than {MAX_PLUGINS} plugins"))),
        _ => recordable(List { name, version, plugins, disable_check, disable_gc }),
    }
}

/// Refuses a list that no attachment could be recorded with: each of its pods would fail.
fn recordable(list: List) -> Result<List, Invalid> {
    if list.to_bytes().len() > MAX_BYTES {
        return Err(Invalid::new(format!("with all of its plugins it is larger than {MAX_BYTES} bytes")));
    }
    Ok(list)
}

/// The parser's words, which say where, without the value that it stumbled over.
fn broken(error: &serde_json::Error) -> Invalid {
    let what = if error.is_eof() { "it ends too early" } else { "it is not a JSON object" };
    Invalid::new(format!("{what} (line {}, column {})", error.line(), error.column()))
}

/// The highest version of all that are offered and that this program speaks. Only a list of versions may have newer
/// ones. A configuration without any is of the oldest, as plugins read it.
fn version(object: &Map<String, Value>) -> Result<Version, Invalid> {
    let one = |value: &Value| {
        let text = value.as_str().ok_or_else(|| Invalid::new("a version is not a string"))?;
        match text.parse::<Version>() {
            Err(Unknown::Malformed) => Err(Invalid::new(format!("{text:?} is not a CNI version"))),
            other => Ok((text.to_owned(), other.ok())),
        }
    };
    let single = match object.get("cniVersion") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(value) => Some(one(value)?),
    };
    let offered = match object.get("cniVersions") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) => all.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        Some(_) => return Err(Invalid::new("cniVersions is not a list")),
    };
    let all = || offered.iter().chain(&single);
    match all().filter_map(|(_, version)| *version).max() {
        Some(version) => Ok(version),
        None if all().next().is_none() => Ok(Version::V0_1_0),
        None => {
            let names: Vec<&str> = all().map(|(name, _)| name.as_str()).collect();
            Err(Invalid::new(format!(
                "it needs CNI {}; this program speaks up to {}",
                names.join(" or "),
                Version::NEWEST
            )))
        }
    }
}

/// A switch, which may also be a string in either case.
fn flag(object: &Map<String, Value>, key: &str) -> Result<bool, Invalid> {
    match object.get(key) {
        None => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Invalid::new(format!("{key} is neither true nor false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<List, String> {
        parse(text.as_bytes(), |_| Ok(Vec::new())).map_err(|e| e.to_string())
    }

    #[test]
    fn a_list_and_a_single_plugin_are_read() {
        let list = read(r#"{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"a","x":1},{"type":"b"}]}"#).unwrap();
        assert_eq!((list.name.as_str(), list.version, list.plugins.len()), ("n", Version::V1_0_0, 2));
        assert_eq!(list.plugins[0].object()["x"], 1);
        let single = read(r#"{"name":"n","type":"a","capabilities":{"portMappings":true,"dns":false}}"#).unwrap();
        assert_eq!((single.version, single.plugins[0].kind()), (Version::V0_1_0, "a"));
        assert!(single.wants("portMappings") && !single.wants("dns") && !single.wants("ips"));
    }

    #[test]
    fn a_list_is_one_by_its_name_and_a_type_that_is_null_is_none() {
        let both = br#"{"name":"n","type":"bridge","plugins":[{"type":"a"},{"type":"b"}]}"#;
        let kinds = |list: List| list.plugins.iter().map(|plugin| plugin.kind().to_owned()).collect::<Vec<_>>();
        assert_eq!(kinds(parse_list(both, |_| Ok(Vec::new())).unwrap()), ["a", "b"]);
        assert_eq!(kinds(parse(both, |_| Ok(Vec::new())).unwrap()), ["bridge"]);
        assert_eq!(kinds(read(r#"{"name":"n","type":null,"plugins":[{"type":"a"}]}"#).unwrap()), ["a"]);
    }

    #[test]
    fn a_list_that_cannot_be_recorded_is_refused() {
        let padding = "x".repeat(MAX_BYTES - 100);
        let text = format!(r#"{{"name":"n","plugins":[{{"type":"a","x":"{padding}"}}]}}"#);
        assert!(text.len() < MAX_BYTES);
        assert!(read(&text).unwrap_err().contains("with all of its plugins"));
        assert!(read(&text.replace(&padding, &padding[..MAX_BYTES / 2])).is_ok());
    }

    #[test]
    fn bytes_that_are_not_text_are_read_as_libcni_reads_them() {
        let text = b"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\",\"x\":\"caf\xe9\"}]}";
        let list = parse(text, |_| Ok(Vec::new())).unwrap();
        assert_eq!(list.plugins[0].object()["x"], "caf\u{fffd}");
    }

    #[test]
    fn what_a_record_keeps_of_a_list_is_that_list() {
        let list =
            read(r#"{"name":"n","cniVersion":"0.3.1","disableGC":"TRUE","plugins":[{"type":"a","x":{"y":[1]}}]}"#);
        let list = list.unwrap();
        assert!(list.disable_gc && !list.disable_check);
        let again = parse(&list.to_bytes(), |_| panic!("it has all of them")).unwrap();
        assert_eq!(again, list);
    }

    #[test]
    fn the_highest_version_that_both_speak_is_taken() {
        let of = |versions: &str| read(&format!(r#"{{"name":"n",{versions}"plugins":[{{"type":"a"}}]}}"#));
        assert_eq!(
            of(r#""cniVersion":"0.4.0","cniVersions":["0.3.1","1.1.0","1.2.0"],"#).unwrap().version,
            Version::V1_1_0
        );
        assert_eq!(of("").unwrap().version, Version::V0_1_0);
        assert_eq!(of(r#""cniVersion":"","#).unwrap().version, Version::V0_1_0);
        assert!(of(r#""cniVersion":"2.0.0","#).unwrap_err().contains("needs CNI 2.0.0"));
        assert!(of(r#""cniVersions":["1.0.0","x"],"#).unwrap_err().contains("\"x\""));
        assert!(of(r#""cniVersion":1,"#).is_err());
    }

    #[test]
    fn plugins_of_the_networks_own_directory_come_after_its_own() {
        let more = |name: &str| {
            assert_eq!(name, "n");
            Ok(vec![Plugin::new(serde_json::json!({"type": "c"})).unwrap()])
        };
        let list = parse(br#"{"name":"n","plugins":[{"type":"a"}]}"#, more).unwrap();
        assert_eq!(list.plugins.iter().map(Plugin::kind).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(parse(br#"{"name":"n"}"#, more).unwrap().plugins.len(), 1);
        let only = parse(br#"{"name":"n","loadOnlyInlinedPlugins":true,"plugins":[{"type":"a"}]}"#, |_| panic!());
        assert_eq!(only.unwrap().plugins.len(), 1);
    }

    #[test]
    fn a_broken_configuration_is_refused_with_its_place_and_without_its_values() {
        for (bad, why) in [
            ("", "ends too early"),
            (r#"{"name":"n","plugins":[{"type":"a","token":"secret"}"#, "line 1"),
            ("[]", "not a JSON object"),
            (r#"{"plugins":[{"type":"a"}]}"#, "no name"),
            (r#"{"name":"a/b","plugins":[{"type":"a"}]}"#, "not a name of a network"),
            (r#"{"name":"n"}"#, "no plugins"),
            (r#"{"name":"n","plugins":[]}"#, "at least one"),
            (r#"{"name":"n","plugins":[{}]}"#, "no type"),
            (r#"{"name":"n","plugins":[{"type":"../sh"}]}"#, "type of a plugin"),
            (r#"{"name":"n","disableGC":1,"plugins":[{"type":"a"}]}"#, "disableGC"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{bad}: {error}");
        }
    }
}
