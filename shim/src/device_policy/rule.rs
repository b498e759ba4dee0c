// SPDX-License-Identifier: Apache-2.0
//! One checked rule of a device policy.

use crate::malformed::{Malformed, Result, each};
use crate::wire::DeviceRule;

/// Maximum number of rules of a container: bounds the program, and the time that a start can spend on it.
pub const MOST: usize = 512;
/// `BPF_DEVCG_ACC_*`, in the order in which the v1 files list them.
pub const ACCESS: [(char, u32); 3] = [('m', 1), ('r', 2), ('w', 4)];
/// All kinds of access.
pub const ALL_ACCESS: u32 = 7;

/// Whether it is a block or a character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// `BPF_DEVCG_DEV_BLOCK`.
    Block = 1,
    /// `BPF_DEVCG_DEV_CHAR`.
    Character = 2,
}

/// Which access is allowed or denied to which devices; `None` matches any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether the rule allows.
    pub allow: bool,
    /// Devices of this kind.
    pub kind: Option<DeviceKind>,
    /// Devices with this major number.
    pub major: Option<u32>,
    /// Devices with this minor number.
    pub minor: Option<u32>,
    /// The sum of some of the bits in [`ACCESS`].
    pub access: u32,
}

impl Rule {
    /// Makes a rule that allows.
    pub const fn allowing(kind: DeviceKind, major: Option<u32>, minor: Option<u32>, access: u32) -> Self {
        Self { allow: true, kind: Some(kind), major, minor, access }
    }

    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid kind, number or access.
    pub fn checked(rule: DeviceRule) -> Result<Self> {
        Ok(Self {
            allow: rule.allow,
            kind: kind(&rule.kind)?,
            major: number("major", rule.major)?,
            minor: number("minor", rule.minor)?,
            access: access(&rule.access)?,
        })
    }
}

/// Checks the rules of a container.
///
/// # Errors
/// For an invalid rule, and for more than [`MOST`].
pub fn checked(rules: Vec<DeviceRule>) -> Result<Vec<Rule>> {
    if rules.len() > MOST {
        return Err(Malformed::new("device_rules", format!("{} rules exceed the maximum of {MOST}", rules.len())));
    }
    each("device_rules", rules, Rule::checked)
}

fn kind(kind: &str) -> Result<Option<DeviceKind>> {
    match kind {
        "a" => Ok(None),
        "b" => Ok(Some(DeviceKind::Block)),
        "c" => Ok(Some(DeviceKind::Character)),
        other => Err(Malformed::new("kind", format!("{other:?} is not a kind of device"))),
    }
}

fn number(field: &str, number: i64) -> Result<Option<u32>> {
    match u32::try_from(number) {
        Ok(number) => Ok(Some(number)),
        Err(_) if number == -1 => Ok(None),
        Err(_) => Err(Malformed::new(field, format!("{number} is not a device number"))),
    }
}

fn access(text: &str) -> Result<u32> {
    text.chars().try_fold(0, |bits, letter| match ACCESS.iter().find(|(known, _)| *known == letter) {
        Some((_, bit)) => Ok(bits | bit),
        None => Err(Malformed::new("access", format!("{text:?} is not a subset of rwm"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn rule(kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
        DeviceRule { allow: true, kind: kind.into(), major, minor, access: access.into() }
    }

    #[test]
    fn what_is_not_a_rule_is_refused() {
        for (wrong, named) in [
            (rule("d", 1, 1, "r"), "device_rules[1].kind: \"d\""),
            (rule("c", -2, 1, "r"), "device_rules[1].major: -2"),
            (rule("c", 1, 1 << 32, "r"), "device_rules[1].minor: 4294967296"),
            (rule("c", 1, 1, "rx"), "device_rules[1].access: \"rx\""),
        ] {
            let failure = Failure::from(checked(vec![rule("a", -1, -1, "m"), wrong]).unwrap_err());
            assert!(failure.message.contains(named), "{}", failure.message);
        }
        assert!(checked(vec![rule("c", 1, 1, "r"); MOST + 1]).is_err());
    }
}
