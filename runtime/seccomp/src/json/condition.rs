// SPDX-License-Identifier: Apache-2.0
//! Conditions on the arguments of a system call.

use super::invalid::{invalid, shown};
use super::text::ArgText;
use crate::error::Error;
use crate::profile::{Condition, Test};

pub(super) fn condition(place: &str, arg: &ArgText) -> Result<Condition, Error> {
    if arg.index > 5 {
        return Err(invalid(place, format!("index {}: a system call has arguments 0 to 5", arg.index)));
    }
    let never = Test::Masked { mask: 0, value: 1 };
    let at_least = |value: Option<u64>| value.map_or(never, Test::AtLeast);
    let equal = Test::Masked { mask: u64::MAX, value: arg.value };
    let (test, expect) = match arg.op.as_str() {
        "SCMP_CMP_EQ" => (equal, true),
        "SCMP_CMP_NE" => (equal, false),
        "SCMP_CMP_GE" => (at_least(Some(arg.value)), true),
        "SCMP_CMP_LT" => (at_least(Some(arg.value)), false),
        "SCMP_CMP_GT" => (at_least(arg.value.checked_add(1)), true),
        "SCMP_CMP_LE" => (at_least(arg.value.checked_add(1)), false),
        "SCMP_CMP_MASKED_EQ" => (Test::Masked { mask: arg.value, value: arg.value_two }, true),
        op => return Err(invalid(place, format!("unknown operator {}", shown(op)))),
    };
    Ok(Condition { arg: arg.index as u8, test, expect })
}

pub(super) fn repeats_an_argument(conditions: &[Condition]) -> bool {
    let mut seen = [false; 6];
    conditions.iter().any(|condition| std::mem::replace(&mut seen[usize::from(condition.arg)], true))
}
