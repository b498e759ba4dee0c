// SPDX-License-Identifier: Apache-2.0
//! Names of interfaces. They are derived, so that two daemons or two pods do not collide and a restart finds the same
//! names.

use std::net::IpAddr;
use std::path::Path;

/// The longest interface name that the kernel accepts, without the final NUL.
pub const MAX_INTERFACE_NAME: usize = 15;

/// The bridge (and table) of the daemon with this root directory: `gorae-1a2b3c`. Another `salt` gives another name.
pub fn bridge(root: &Path, salt: u32) -> String {
    let mut hash = fnv1a(root.as_os_str().as_encoded_bytes());
    if salt > 0 {
        hash = fnv1a(format!("{hash:x} {salt}").as_bytes());
    }
    format!("gorae-{:06x}", hash & 0xff_ffff)
}

/// The nftables table of the daemon with this bridge: the same name, if that shows whose it is. (A table's name must
/// begin with a letter, and must not be an nft keyword.)
pub fn table(bridge: &str) -> String {
    if bridge.starts_with("gorae") { bridge.to_owned() } else { format!("gorae-{bridge}") }
}

/// The host end of a pod's veth pair: `gp` and 52 bits of a hash of the pod's id.
pub fn host_interface(pod_id: &str) -> String {
    format!("gp{:013x}", fnv1a(pod_id.as_bytes()) >> 12)
}

/// Whether this is a name that [`host_interface`] makes.
pub fn is_host_interface(name: &str) -> bool {
    name.len() == MAX_INTERFACE_NAME
        && name.strip_prefix("gp").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The hardware address of a bridge, locally administered. Without a fixed one, it would change when the first pod
/// leaves.
pub fn hardware_address(bridge: &str) -> [u8; 6] {
    let [a, b, c, d, e, ..] = fnv1a(bridge.as_bytes()).to_be_bytes();
    [0x02, a, b, c, d, e]
}

/// The hardware address of a pod's interface, as the shim makes it: from the last four bytes of the pod's first address.
pub fn pod_hardware_address(first: IpAddr) -> [u8; 6] {
    let [.., a, b, c, d] = match first {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    [0x02, 0x67, a, b, c, d]
}

/// 64-bit FNV-1a, with the bits mixed once more, because its high bits alone are weak for short texts.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_fit_the_kernel_and_are_stable() {
        let name = bridge(Path::new("/var/lib/gorae"), 0);
        assert_eq!(name, bridge(Path::new("/var/lib/gorae"), 0));
        assert_ne!(name, bridge(Path::new("/var/lib/gorae"), 1));
        assert!(name.len() <= MAX_INTERFACE_NAME && name.starts_with("gorae-"));
        assert_eq!(host_interface("x").len(), MAX_INTERFACE_NAME);
        assert!(is_host_interface(&host_interface("x")) && !is_host_interface("gp0"));
    }

    #[test]
    fn a_pods_interface_has_the_hardware_address_that_the_shim_gives_it() {
        for (first, hardware) in [("10.88.0.5", [2, 0x67, 10, 88, 0, 5]), ("fd00:88::1:5", [2, 0x67, 0, 1, 0, 5])] {
            assert_eq!(pod_hardware_address(first.parse().expect("address")), hardware);
        }
    }

    #[test]
    fn ten_thousand_pods_have_ten_thousand_interfaces() {
        let names: HashSet<String> = (0..10_000).map(|i| host_interface(&format!("{i:032x}"))).collect();
        assert_eq!(names.len(), 10_000);
        let roots: HashSet<String> = (0..100).map(|i| bridge(Path::new(&format!("/tmp/root{i}")), 0)).collect();
        assert_eq!(roots.len(), 100);
    }
}
