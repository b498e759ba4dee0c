// SPDX-License-Identifier: Apache-2.0
//! The `User` of an image config, the default user of containers. Pure; its text is untrusted.

use oci_spec::image::ImageConfiguration;

/// The user part of an image's `User` (`user[:group]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// Not set, which means root.
    Unset,
    /// A valid numeric user id.
    Id(u32),
    /// Anything else: a name, or a number that is not a valid user id (and must never be treated as root).
    Name(String),
}

impl User {
    /// The config's user.
    pub fn of(config: &ImageConfiguration) -> Self {
        Self::parse(config.config().as_ref().and_then(|config| config.user().as_deref()).unwrap_or(""))
    }

    fn parse(text: &str) -> Self {
        let user = text.split(':').next().unwrap_or("");
        if user.is_empty() {
            return Self::Unset;
        }
        let digits = user.bytes().all(|b| b.is_ascii_digit());
        match user.parse::<u32>() {
            Ok(id) if digits && id != u32::MAX => Self::Id(id),
            _ => Self::Name(user.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_32_bit_numbers_are_user_ids() {
        for (text, user) in [
            ("", User::Unset),
            (":5", User::Unset),
            ("0", User::Id(0)),
            ("1002:1003", User::Id(1002)),
            ("www-data:www-data", User::Name("www-data".into())),
            ("4294967295", User::Name("4294967295".into())),
            ("4294967296", User::Name("4294967296".into())),
            ("+1", User::Name("+1".into())),
            ("-1", User::Name("-1".into())),
            (" 1", User::Name(" 1".into())),
        ] {
            assert_eq!(User::parse(text), user, "{text:?}");
        }
    }
}
