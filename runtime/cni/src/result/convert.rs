// SPDX-License-Identifier: Apache-2.0
//! Rewrites a result as another version of the specification has it. Keys that no version knows stay as they are.
//!
//! ```text
//! 0.1.0, 0.2.0            ip4, ip6: { ip, gateway, routes }
//! 0.3.0, 0.3.1, 0.4.0     ips: [ { version: "4", address, … } ], routes
//! 1.0.0, 1.1.0            ips: [ { address, … } ], routes
//! ```

use crate::version::Version;
use serde_json::{Map, Value, json};

/// The shapes that a result has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    OneOfEach,
    WithFamily,
    Plain,
}

fn shape(version: Version) -> Shape {
    match version {
        Version::V0_1_0 | Version::V0_2_0 => Shape::OneOfEach,
        Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => Shape::WithFamily,
        Version::V1_0_0 | Version::V1_1_0 => Shape::Plain,
    }
}

/// Rewrites `result`, which came from a list of version `list`, as version `to`.
///
/// # Errors
/// A sentence: its version is unknown, or the older version has no place for what it holds.
pub fn convert(result: &Value, list: Version, to: Version) -> Result<Value, String> {
    let from = super::version::version(result, list)?;
    let Value::Object(mut object) = result.clone() else { return Err("it is not a JSON object".to_owned()) };
    match (shape(from), shape(to)) {
        (from, to) if from == to => {}
        (Shape::OneOfEach, _) => up(&mut object),
        (_, Shape::OneOfEach) => down(&mut object)?,
        _ => {}
    }
    if let Some(Value::Array(ips)) = object.get_mut("ips") {
        ips.iter_mut().filter_map(Value::as_object_mut).for_each(|ip| family(ip, shape(to)));
    }
    object.insert("cniVersion".into(), to.as_str().into());
    Ok(object.into())
}

/// Says or leaves out the family of an address.
fn family(ip: &mut Map<String, Value>, shape: Shape) {
    if shape == Shape::Plain {
        ip.remove("version");
    } else if !ip.contains_key("version") {
        let is_v6 = ip.get("address").and_then(Value::as_str).is_some_and(|address| address.contains(':'));
        ip.insert("version".into(), if is_v6 { "6" } else { "4" }.into());
    }
}

/// From one address of each family to lists.
fn up(object: &mut Map<String, Value>) {
    let (mut ips, mut routes) = (Vec::new(), Vec::new());
    for (key, version) in [("ip4", "4"), ("ip6", "6")] {
        let Some(Value::Object(old)) = object.remove(key) else { continue };
        let mut ip = Map::new();
        ip.insert("version".into(), version.into());
        for (old_key, key) in [("ip", "address"), ("gateway", "gateway")] {
            if let Some(value) = old.get(old_key) {
                ip.insert(key.into(), value.clone());
            }
        }
        ips.push(Value::from(ip));
        routes.extend(old.get("routes").and_then(Value::as_array).into_iter().flatten().cloned());
    }
    object.insert("ips".into(), ips.into());
    object.insert("routes".into(), routes.into());
}

/// From lists to the first address of each family, with the routes of that family.
fn down(object: &mut Map<String, Value>) -> Result<(), String> {
    let take = |object: &mut Map<String, Value>, key| match object.remove(key) {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    let (ips, routes) = (take(object, "ips"), take(object, "routes"));
    object.remove("interfaces");
    let is_v6 = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(|text| text.contains(':'));
    for (key, v6) in [("ip4", false), ("ip6", true)] {
        let Some(ip) = ips.iter().find(|ip| is_v6(ip, "address") == Some(v6)) else { continue };
        let routes: Vec<&Value> = routes.iter().filter(|route| is_v6(route, "dst") == Some(v6)).collect();
        let mut old = json!({"ip": ip.get("address"), "routes": routes});
        if let (Some(gateway), Some(old)) = (ip.get("gateway"), old.as_object_mut()) {
            old.insert("gateway".into(), gateway.clone());
        }
        object.insert(key.into(), old);
    }
    if object.contains_key("ip4") || object.contains_key("ip6") {
        return Ok(());
    }
    Err("it has no address, and the older version of the next plugin needs one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(result: Value, to: Version) -> Value {
        convert(&result, Version::V0_4_0, to).unwrap()
    }

    #[test]
    fn the_oldest_form_becomes_lists_and_back() {
        let old = json!({"cniVersion": "0.2.0", "mine": 1,
            "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
            "ip6": {"ip": "fd00::2/64", "routes": [{"dst": "::/0", "gw": "fd00::1"}]}});
        let new = to(old.clone(), Version::V1_0_0);
        let expected = json!({"cniVersion": "1.0.0", "mine": 1,
            "ips": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"address": "fd00::2/64"}],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1"}]});
        assert_eq!(new, expected);
        assert_eq!(to(new, Version::V0_2_0), old);
    }

    #[test]
    fn the_family_of_an_address_is_said_where_it_must_be() {
        let new = json!({"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mac": "not-a-mac"}],
            "ips": [{"address": "10.0.0.2/24", "interface": 0}, {"address": "fd00::2/64"}]});
        let older = to(new.clone(), Version::V0_3_1);
        assert_eq!((&older["ips"][0]["version"], &older["ips"][1]["version"]), (&json!("4"), &json!("6")));
        assert_eq!(older["interfaces"], new["interfaces"]);
        assert_eq!(to(older, Version::V1_1_0), new);
    }

    #[test]
    fn a_result_without_a_version_has_that_of_its_list() {
        assert_eq!(to(json!({}), Version::V0_4_0), json!({"cniVersion": "0.4.0"}));
        assert_eq!(
            to(json!({"ips": [{"version": "4", "address": "10.0.0.2/24"}]}), Version::V1_0_0)["ips"][0],
            json!({"address": "10.0.0.2/24"})
        );
    }

    #[test]
    fn what_has_no_place_in_an_older_version_is_refused() {
        let convert = |result| convert(&result, Version::V1_0_0, Version::V0_2_0).unwrap_err();
        assert!(convert(json!({"ips": []})).contains("no address"));
        assert!(convert(json!({"cniVersion": "9.0.0"})).contains("9.0.0"));
        assert!(convert(json!({"cniVersion": 1})).contains("not a string"));
    }
}
