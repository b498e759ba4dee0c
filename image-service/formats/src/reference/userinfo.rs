// SPDX-License-Identifier: Apache-2.0
//! What stands before a host where URLs have user and password, and must not be shown.

/// The part of a name that may be shown: without what stands before an `@` that begins no digest. Such a thing is no
/// name, and what people put there are their passwords.
pub fn without_userinfo(text: &str) -> &str {
    let is_digest = |after: &str| after.starts_with("sha256:") || after.starts_with("sha512:");
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        // Of several, only the last can begin the digest.
        if !is_digest(&text[at + 1..]) || text[at + 1..].contains('@') {
            from = at + 1;
        }
    }
    &text[from..]
}

/// The same of a host's address, which has no digest: nothing before an `@` may be shown.
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
