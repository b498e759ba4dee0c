// SPDX-License-Identifier: Apache-2.0
//! `--cap-add` and `--cap-drop`.

use anyhow::{Result, ensure};

/// Reads capability names, each as [`capability`] does.
///
/// # Errors
/// For the first name that has another form.
pub fn capabilities(names: &[String]) -> Result<Vec<String>> {
    names.iter().map(|name| capability(name)).collect()
}

/// Reads a capability name and gives it the CRI's form: upper case, without `CAP_`; `ALL` is allowed.
///
/// Whether the kernel has such a capability is for the daemon to check.
///
/// # Errors
/// When the text cannot be the name of a capability.
pub fn capability(text: &str) -> Result<String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    ensure!(plain, "bad capability {text:?}: the form is NET_ADMIN, CAP_NET_ADMIN or ALL");
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_in_one_form() {
        for text in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"] {
            assert_eq!(capability(text).expect(text), "NET_ADMIN");
        }
        assert_eq!(capability("all").expect("all"), "ALL");
        for text in ["", "CAP_", "NET ADMIN", "NET-ADMIN", "é"] {
            assert!(capability(text).is_err(), "{text:?} was taken");
        }
    }
}
