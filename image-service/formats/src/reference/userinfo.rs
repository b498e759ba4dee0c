// SPDX-License-Identifier: Apache-2.0
//! User names and passwords before a host, as in URLs. They must not be shown.

/// The part of a name that may be shown: without any text before an `@` that does not begin a digest. Such text is not part
/// of a name, and people put passwords there.
///
/// - Shapes: all code in Gorae that shows a client's name for an image uses this one function.
pub fn without_userinfo(text: &str) -> &str {
    let is_digest = |after: &str| after.starts_with("sha256:") || after.starts_with("sha512:");
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        // If there are several, only the last one can begin the digest.
        if !is_digest(&text[at + 1..]) || text[at + 1..].contains('@') {
            from = at + 1;
        }
    }
    &text[from..]
}

/// The part of a host's address that may be shown. An address has no digest, so nothing before an `@` is shown.
pub fn without_userinfo_of_host(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_host_nothing_before_an_at_is_shown() {
        for (address, shown) in
            [("http://u:s3cret@h:5", "h:5"), ("u:s3cret@sha256:x", "sha256:x"), ("h", "h"), ("@", "")]
        {
            assert_eq!(without_userinfo_of_host(address), shown, "{address}");
        }
    }
}
