// SPDX-License-Identifier: Apache-2.0
//! Reads JSON as Go's `encoding/json` reads it into a struct, since Go programs write and read what registries hold.
//!
//! Null and absent values are empty, also as items of a list and values of a map. Keys are case-insensitive. If a key is
//! repeated, the last value applies. Unknown keys are ignored, numbers must be integers, and nothing may follow the
//! document. Pure; the input is untrusted, so memory is used only for values that a field keeps.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

/// Most items of a list or map, far more than any builder writes. The bound is needed because a few bytes of input can
/// become a large item.
const MAX_ITEMS: usize = 50_000;

/// Defines a struct that is read this way: `go_object!(Name { field: Type = "key", … })`.
macro_rules! go_object {
    ($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        struct $name {
            $($field: $kind,)+
        }

        impl $crate::go_json::Object for $name {
            fn set<'de, A: serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
                $(if $crate::go_json::is(key, $key) {
                    self.$field = map.next_value::<Option<$kind>>()?.unwrap_or_default();
                    return Ok(true);
                })+
                Ok(false)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::go_json::object(deserializer)
            }
        }
    };
}
pub(crate) use go_object;

/// A struct that [`go_object`] defines.
pub trait Object: Default {
    /// Reads the next value of `map` if there is a field for this key; returns whether there is.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Whether `key` matches the field `name`. Two non-ASCII letters have an ASCII letter as their other case.
pub fn is(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key == name || key.chars().map(fold).eq(name.chars().map(fold))
}

/// Reads a struct.
///
/// # Errors
/// The JSON reader's error, for anything but an object or null, and for a field of the wrong type.
pub fn object<'de, O: Object, D: Deserializer<'de>>(deserializer: D) -> Result<O, D::Error> {
    deserializer.deserialize_any(Fields(PhantomData))
}

struct Fields<O>(PhantomData<O>);

impl<'de, O: Object> Visitor<'de> for Fields<O> {
    type Value = O;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<O, E> {
        Ok(O::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<O, A::Error> {
        let mut read = O::default();
        while let Some(key) = map.next_key::<String>()? {
            if !read.set(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(read)
    }
}

/// A list; null items become empty ones.
#[derive(Debug, Default)]
pub struct List<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData)).map(Self)
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_ITEMS} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Option<T>>()? {
            if items.len() == MAX_ITEMS {
                return Err(A::Error::invalid_length(MAX_ITEMS + 1, &self));
            }
            items.push(item.unwrap_or_default());
        }
        Ok(items)
    }
}

/// The keys of a map whose values are ignored, sorted: Go's `map[string]struct{}`.
#[derive(Debug, Default)]
pub struct Keys(pub BTreeSet<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = deserializer.deserialize_map(Entries(PhantomData::<IgnoredAny>))?;
        Ok(Self(map.into_keys().collect()))
    }
}

/// Strings by key; null values become empty ones.
#[derive(Debug, Default)]
pub struct Texts(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Entries<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MAX_ITEMS} keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Option<T>>()? {
            if entries.len() == MAX_ITEMS {
                return Err(A::Error::invalid_length(MAX_ITEMS + 1, &self));
            }
            entries.insert(key, value.unwrap_or_default());
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    go_object!(Leaf { text: String = "textKey", number: i64 = "number" });
    go_object!(Tree { leaf: Option<Leaf> = "leaf", leaves: List<Leaf> = "leaves", keys: Keys = "keys", texts: Texts = "texts" });

    fn tree(text: &str) -> Result<Tree, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn null_and_absent_are_empty_wherever_they_stand() {
        for empty in ["{}", "null", r#"{"leaf":null,"leaves":null,"keys":null,"texts":null}"#] {
            let read = tree(empty).unwrap();
            assert!(read.leaf.is_none() && read.leaves.0.is_empty(), "{empty}");
            assert!(read.keys.0.is_empty() && read.texts.0.is_empty(), "{empty}");
        }
        let read =
            tree(r#"{"leaf":{"textKey":null},"leaves":[null,{}],"keys":{"a":null},"texts":{"b":null}}"#).unwrap();
        assert_eq!(read.leaf.unwrap().text, "");
        assert_eq!((read.leaves.0.len(), read.leaves.0[0].number), (2, 0));
        assert!(read.keys.0.contains("a") && read.texts.0["b"].is_empty());
    }

    #[test]
    fn a_key_counts_in_any_case_and_the_last_one_of_several() {
        let read: Leaf = serde_json::from_str(r#"{"textKey":"a","TEXTKEY":"b","teXt\u212aey":"c"}"#).unwrap();
        assert_eq!(read.text, "c");
        let read = tree(r#"{"texts":{"A":"1","a":"2"},"KEYS":{"x":{}},"keys":{"y":[1]}}"#).unwrap();
        assert_eq!(read.texts.0.len(), 2, "the keys of a map are its own");
        assert_eq!(read.keys.0.into_iter().collect::<Vec<_>>(), ["y"]);
    }

    #[test]
    fn no_list_and_no_map_is_without_an_end() {
        let nulls = |n: usize| format!("{{\"leaves\":[{}]}}", vec!["null"; n].join(","));
        assert_eq!(tree(&nulls(MAX_ITEMS)).unwrap().leaves.0.len(), MAX_ITEMS);
        assert!(tree(&nulls(MAX_ITEMS + 1)).is_err());
        let keys: Vec<String> = (0..=MAX_ITEMS).map(|n| format!("\"{n}\":null")).collect();
        for field in ["keys", "texts"] {
            let error = tree(&format!("{{\"{field}\":{{{}}}}}", keys.join(","))).unwrap_err();
            assert!(error.to_string().contains("at most 50000 keys"), "{error}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in [
            "",
            "[]",
            "{} {}",
            "{}x",
            r#"{"leaf":"x"}"#,
            r#"{"leaves":{}}"#,
            r#"{"leaf":{"number":1.0}}"#,
            r#"{"leaf":{"number":1e3}}"#,
            r#"{"leaf":{"number":9223372036854775808}}"#,
            r#"{"leaf":{"number":"1"}}"#,
            r#"{"keys":["a"]}"#,
            r#"{"texts":{"a":1}}"#,
            &"[".repeat(100_000),
        ] {
            assert!(tree(bad).is_err(), "{bad:.40}");
        }
        assert_eq!(tree(r#"{"leaf":{"number":-9223372036854775808}}"#).unwrap().leaf.unwrap().number, i64::MIN);
        assert!(tree(r#"{"other":{"number":1e999,"deep":[[[{}]]]}}"#).is_ok(), "what nobody asks for is passed over");
    }
}
