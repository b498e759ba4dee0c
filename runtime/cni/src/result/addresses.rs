// SPDX-License-Identifier: Apache-2.0
//! The pod's addresses in a result.

use super::convert::convert;
use crate::version::Version;
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;

/// The most addresses that a pod is given.
const MAX_ADDRESSES: usize = 64;
/// The most characters of an address that is none in an error.
const MAX_QUOTE: usize = 64;

/// The addresses of `interface`, in the result's order and each once: those that name no interface, and those that name
/// it and are inside the pod. If there are none, those of any interface inside the pod; then those of one of that name.
///
/// # Errors
/// A sentence: the result's version is unknown, an address is none, or there are too many.
pub fn addresses(result: &Value, list: Version, interface: &str) -> Result<Vec<IpAddr>, String> {
    let result = convert(result, list, Version::NEWEST)?;
    let all = |key| result.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (ips, interfaces) = (all("ips"), all("interfaces"));
    let of = |ip: &Value| match ip.get("interface") {
        None | Some(Value::Null) => Some(None),
        Some(index) => index.as_u64().and_then(|i| usize::try_from(i).ok()).and_then(|i| interfaces.get(i)).map(Some),
    };
    let is_named = |named: &Value| named.get("name").and_then(Value::as_str) == Some(interface);
    let is_own = |ip: &&Value| match of(ip) {
        Some(None) => true,
        Some(Some(named)) => is_named(named) && is_inside(named),
        None => false,
    };
    let mut own: Vec<&Value> = ips.iter().filter(is_own).collect();
    if own.is_empty() {
        own = ips.iter().filter(|ip| matches!(of(ip), Some(Some(named)) if is_inside(named))).collect();
    }
    if own.is_empty() {
        // Some plugins leave out where the interface is.
        own = ips.iter().filter(|ip| matches!(of(ip), Some(Some(named)) if is_named(named))).collect();
    }
    if own.len() > MAX_ADDRESSES {
        return Err(format!("it has more than {MAX_ADDRESSES} addresses"));
    }
    let mut found = Vec::new();
    for ip in own {
        let address = address(ip)?;
        if !found.contains(&address) {
            found.push(address);
        }
    }
    Ok(found)
}

/// Whether an interface of the result is in the pod and not on the node.
fn is_inside(interface: &Value) -> bool {
    interface.get("sandbox").and_then(Value::as_str).is_some_and(|sandbox| !sandbox.is_empty())
}

fn address(ip: &Value) -> Result<IpAddr, String> {
    let text = ip.get("address").and_then(Value::as_str).unwrap_or_default();
    let plain = || text.parse::<IpAddr>().ok();
    let found = text.parse::<IpNet>().ok().map(|net| net.addr()).or_else(plain).map(|ip| ip.to_canonical());
    let quoted = || text.chars().take(MAX_QUOTE).collect::<String>();
    match found {
        Some(ip) if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() => {
            Err(format!("{:?} cannot be the address of a pod", quoted()))
        }
        Some(ip) => Ok(ip),
        None => Err(format!("{:?} is not an address", quoted())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(result: Value) -> Result<Vec<String>, String> {
        let found = addresses(&result, Version::V1_0_0, "eth0")?;
        Ok(found.into_iter().map(|ip| ip.to_string()).collect())
    }

    #[test]
    fn addresses_of_the_pods_interface_are_found_in_order_and_once() {
        let interfaces =
            json!([{"name": "cni0"}, {"name": "eth0", "sandbox": "/run/netns/x"}, {"name": "net1", "sandbox": "/x"}]);
        let result = json!({"interfaces": interfaces, "ips": [
            {"address": "10.9.0.1/24", "interface": 0}, {"address": "fd00::2/64", "interface": 1},
            {"address": "10.0.0.2/24"}, {"address": "10.0.0.2/16", "interface": 1},
            {"address": "10.7.0.2/24", "interface": 2}, {"address": "10.8.0.2/24", "interface": 3},
            {"address": "10.8.0.3/24", "interface": -1}]});
        assert_eq!(of(result).unwrap(), ["fd00::2", "10.0.0.2"]);
    }

    #[test]
    fn without_any_the_addresses_of_other_interfaces_inside_count() {
        let interfaces = json!([{"name": "veth0"}, {"name": "net0", "sandbox": "/run/netns/x"}]);
        let ips = json!([{"address": "10.0.0.1/24", "interface": 0}, {"address": "10.0.0.2/24", "interface": 1}]);
        assert_eq!(of(json!({"interfaces": interfaces, "ips": ips})).unwrap(), ["10.0.0.2"]);
        assert_eq!(of(json!({})).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_oldest_form_has_addresses_too() {
        assert_eq!(of(json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}})).unwrap(), ["10.0.0.2"]);
    }

    #[test]
    fn what_no_pod_can_have_is_refused_and_a_mapped_address_is_that_of_ipv4() {
        for bad in ["0.0.0.0/0", "::/0", "127.0.0.1/8", "::1/128", "224.0.0.1/4", "ff02::1/64", "::ffff:127.0.0.1/128"]
        {
            assert!(of(json!({"ips": [{"address": bad}]})).unwrap_err().contains("cannot be the address"), "{bad}");
        }
        assert_eq!(of(json!({"ips": [{"address": "::ffff:10.0.0.1/120"}]})).unwrap(), ["10.0.0.1"]);
    }

    #[test]
    fn what_is_no_address_is_refused_and_so_are_very_many() {
        assert!(of(json!({"ips": [{"address": "10.0.0.256/24"}]})).unwrap_err().contains("10.0.0.256"));
        let many: Value = (0..65).map(|i| json!({"address": format!("10.0.0.{i}/24")})).collect();
        assert!(of(json!({"ips": many})).is_err());
    }
}
