// SPDX-License-Identifier: Apache-2.0
//! Which extended attributes a file from an image may carry.

/// Whether an attribute of this name is kept when a layer is unpacked and when a volume is filled from an image.
///
/// overlayfs's own attributes would let a layer redirect names into other layers. Security labels belong to the node.
pub fn is_kept(name: &[u8]) -> bool {
    match name {
        b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default" => true,
        _ => name.starts_with(b"user.") && !name.starts_with(b"user.overlay."),
    }
}

#[cfg(test)]
mod tests {
    use super::is_kept;

    #[test]
    fn overlayfs_and_security_modules_keep_their_attributes_to_themselves() {
        for name in
            ["security.capability", "system.posix_acl_access", "system.posix_acl_default", "user.mime", "user.o"]
        {
            assert!(is_kept(name.as_bytes()), "{name}");
        }
        for name in [
            "trusted.overlay.redirect",
            "user.overlay.opaque",
            "security.selinux",
            "security.ima",
            "system.other",
            "trusted.x",
            "user",
            "",
        ] {
            assert!(!is_kept(name.as_bytes()), "{name}");
        }
    }
}
