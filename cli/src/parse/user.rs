// SPDX-License-Identifier: Apache-2.0
//! `-u USER[:GROUP]`.

use anyhow::{Context, Result, bail, ensure};

/// The largest id: the kernel uses 2^32 - 1 for "no id".
const MAX_ID: i64 = (1 << 32) - 2;

/// The user of a container's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// A user number, and a group number if given.
    Id { uid: i64, gid: Option<i64> },
    /// A user name in the image's /etc/passwd, and a group number if given.
    Name { name: String, gid: Option<i64> },
}

/// Reads `UID`, `NAME`, `UID:GID` or `NAME:GID`.
///
/// # Errors
/// When the text has another form. The name of a group is refused, because the CRI has only group numbers.
pub fn user(text: &str) -> Result<User> {
    let read = || {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let gid = match group.map(number) {
            None => None,
            Some(Some(gid)) => Some(gid?),
            Some(None) => bail!("the group must be a number"),
        };
        match number(user) {
            Some(uid) => Ok(User::Id { uid: uid?, gid }),
            None => {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-$".contains(&b);
                let plain = !user.is_empty() && !user.starts_with('-') && user.bytes().all(allowed);
                ensure!(plain, "{user:?} is not a user name");
                Ok(User::Name { name: user.to_owned(), gid })
            }
        }
    };
    read().with_context(|| format!("bad user {text:?}: the form is UID[:GID] or NAME[:GID]"))
}

/// `None` when the text is not made of digits.
fn number(text: &str) -> Option<Result<i64>> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| match text.parse() {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => bail!("{text} is larger than the largest id, {MAX_ID}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers_or_names() {
        let name = |name: &str, gid| User::Name { name: name.to_owned(), gid };
        let rows = [
            ("0", User::Id { uid: 0, gid: None }),
            ("1000:1001", User::Id { uid: 1000, gid: Some(1001) }),
            ("www-data", name("www-data", None)),
            ("nobody:65534", name("nobody", Some(65534))),
            ("4294967294", User::Id { uid: 4294967294, gid: None }),
        ];
        for (text, expected) in rows {
            assert_eq!(user(text).expect(text), expected);
        }
        for text in ["", ":", ":0", "0:", "0:wheel", "4294967295", "-1", "a b", "a/b", "1:2:3", "99999999999999999999"]
        {
            assert!(user(text).is_err(), "{text:?} was taken");
        }
    }
}
