// SPDX-License-Identifier: Apache-2.0
//! The forms of the names that go to plugins. Source: CNI specification 1.1.0, and libcni, which plugins are built with.

/// Longest name of a network, in bytes; it becomes part of a path (`/var/lib/cni/networks/NAME`).
const MAX_NAME: usize = 200;

/// Whether this is a valid name of a network: a letter or digit, then letters, digits, `_`, `.` and `-`.
pub fn is_network_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && name.len() <= MAX_NAME && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// Whether this can be the type of a plugin, which is the name of a file in a directory of plugins.
pub fn is_plugin_type(name: &str) -> bool {
    let plain = |c: char| c != '/' && !c.is_control();
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && name.chars().all(plain)
}

/// Whether the kernel and plugins accept this as the name of an interface: 1 to 15 bytes, no slash, colon or blank, and
/// not "." or "..".
pub fn is_interface_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
    (1..16).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for name in ["a", "cbr0", "k8s-pod-network", "1_.-", &"n".repeat(200)] {
            assert!(is_network_name(name), "{name}");
        }
        for name in ["", "-a", ".a", "a/b", "a b", "ä", &"n".repeat(201)] {
            assert!(!is_network_name(name), "{name}");
        }
        assert!(is_plugin_type("host-local") && !is_plugin_type("..") && !is_plugin_type("a/b") && !is_plugin_type(""));
        assert!(is_interface_name("eth0") && !is_interface_name("a:b") && !is_interface_name("sixteen-bytes-xx"));
    }
}
