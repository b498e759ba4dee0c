// SPDX-License-Identifier: Apache-2.0
//! Versions of the CNI specification.

use std::fmt;
use std::str::FromStr;

/// A version that this program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The first one; also meant by a configuration without a version.
    V0_1_0,
    /// The first one with VERSION.
    V0_2_0,
    /// The first one with chains, and with a list of addresses in a result.
    V0_3_0,
    /// Its correction.
    V0_3_1,
    /// The first one with CHECK, and with the result of ADD in a DEL.
    V0_4_0,
    /// Addresses no longer name their family.
    V1_0_0,
    /// The first one with STATUS and GC.
    V1_1_0,
}

/// All versions with their names, oldest first.
const ALL: [(Version, &str); 7] = [
    (Version::V0_1_0, "0.1.0"),
    (Version::V0_2_0, "0.2.0"),
    (Version::V0_3_0, "0.3.0"),
    (Version::V0_3_1, "0.3.1"),
    (Version::V0_4_0, "0.4.0"),
    (Version::V1_0_0, "1.0.0"),
    (Version::V1_1_0, "1.1.0"),
];

impl Version {
    /// The newest one.
    pub const NEWEST: Self = Self::V1_1_0;

    /// As it stands in a configuration.
    pub fn as_str(self) -> &'static str {
        ALL[self as usize].1
    }

    /// Whether a plugin of this version gets the result of ADD on DEL, and can be asked to CHECK.
    pub fn has_check(self) -> bool {
        self >= Self::V0_4_0
    }

    /// Whether a plugin of this version can be asked for STATUS and GC.
    pub fn has_status(self) -> bool {
        self >= Self::V1_1_0
    }
}

/// A text that is not the name of a version that this program speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// A version that does not exist, or one newer than [`Version::NEWEST`].
    Unsupported,
    /// Not three numbers with dots.
    Malformed,
}

impl FromStr for Version {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        if let Some((version, _)) = ALL.iter().find(|(_, name)| *name == text) {
            return Ok(*version);
        }
        let is_number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() == 3 && parts.into_iter().all(is_number) {
            Err(Unknown::Unsupported)
        } else {
            Err(Unknown::Malformed)
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_read_as_it_is_written_and_they_are_in_order() {
        for (version, name) in ALL {
            assert_eq!(name.parse(), Ok(version));
            assert_eq!(version.to_string(), name);
        }
        assert!(ALL.is_sorted());
        assert_eq!("1.2.0".parse::<Version>(), Err(Unknown::Unsupported));
        for bad in ["", "1.0", "v1.0.0", "1.0.0-rc1", "1..0", "1.0.0.0", " 1.0.0"] {
            assert_eq!(bad.parse::<Version>(), Err(Unknown::Malformed), "{bad}");
        }
    }
}
