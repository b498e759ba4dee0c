// SPDX-License-Identifier: Apache-2.0
//! Sets of 64-bit values as unions of cubes. A cube is all values with given bits in given places.
//!
//! Every condition on an argument is such a union, and so is every conjunction of conditions on it. Each cube is a
//! masked comparison, so a profile format with one comparison per argument can express all of them.

use super::profile::{Condition, Test};

/// The values with `value & mask == bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cube {
    pub(super) mask: u64,
    /// Has no bit outside `mask`.
    pub(super) bits: u64,
}

/// The values for which all conditions hold, whichever argument they name. The cubes are disjoint.
pub(super) fn of_all(conditions: &[Condition]) -> Vec<Cube> {
    let everything = vec![Cube { mask: 0, bits: 0 }];
    conditions.iter().fold(everything, |before, condition| {
        let holds = of_one(condition);
        before.iter().flat_map(|cube| holds.iter().filter_map(|other| cube.and(other))).collect()
    })
}

fn of_one(condition: &Condition) -> Vec<Cube> {
    match (condition.test, condition.expect) {
        (Test::Masked { mask, value }, expect) if value & !mask != 0 => {
            // The condition's test never holds.
            if expect { Vec::new() } else { vec![Cube { mask: 0, bits: 0 }] }
        }
        (Test::Masked { mask, value }, true) => vec![Cube { mask, bits: value }],
        (Test::Masked { mask, value }, false) => leaving(mask, value, mask),
        (Test::AtLeast(least), true) => {
            let equal = Cube { mask: u64::MAX, bits: least };
            leaving(u64::MAX, least, !least).into_iter().chain([equal]).collect()
        }
        (Test::AtLeast(least), false) => leaving(u64::MAX, least, least),
    }
}

/// One cube for each place of `leave`: equal to `value` in the higher places of `mask`, and its opposite in this place.
fn leaving(mask: u64, value: u64, leave: u64) -> Vec<Cube> {
    let places = (0..u64::BITS).rev().filter(|place| leave & (1 << place) != 0);
    places
        .map(|place| Cube {
            mask: mask & (u64::MAX << place),
            bits: (value ^ (1 << place)) & mask & (u64::MAX << place),
        })
        .collect()
}

impl Cube {
    /// The intersection; `None` when it is empty.
    fn and(&self, other: &Self) -> Option<Self> {
        let agree = (self.bits ^ other.bits) & self.mask & other.mask == 0;
        agree.then_some(Self { mask: self.mask | other.mask, bits: self.bits | other.bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the conditions hold, evaluated one by one.
    fn hold(conditions: &[Condition], value: u64) -> bool {
        conditions.iter().all(|condition| {
            let test = match condition.test {
                Test::Masked { mask, value: wanted } => value & mask == wanted,
                Test::AtLeast(least) => value >= least,
            };
            test == condition.expect
        })
    }

    #[test]
    fn cubes_have_the_values_for_which_the_conditions_hold_each_once() {
        let tests = [
            Test::Masked { mask: u64::MAX, value: 5 },
            Test::Masked { mask: 0xffff_ffff, value: 38 },
            Test::Masked { mask: 0xffff_ffff, value: 40 },
            Test::Masked { mask: 0x7e02_0000, value: 0 },
            Test::Masked { mask: 0, value: 1 },
            Test::AtLeast(0),
            Test::AtLeast(6),
            Test::AtLeast(u64::MAX),
        ];
        let all = tests.map(|test| [true, false].map(|expect| Condition { arg: 0, test, expect }));
        let all = all.as_flattened();
        let values =
            [0, 1, 4, 5, 6, 7, 37, 38, 39, 40, 41, 1 << 17, 1 << 32 | 38, 1 << 32 | 39, u64::MAX - 1, u64::MAX];
        for pair in all.iter().flat_map(|first| all.iter().map(|second| [*first, *second])) {
            let cubes = of_all(&pair);
            for value in values {
                let found = cubes.iter().filter(|cube| value & cube.mask == cube.bits).count();
                assert_eq!(found, usize::from(hold(&pair, value)), "{pair:?} {value:#x} {cubes:x?}");
            }
        }
    }

    #[test]
    fn two_excluded_values_of_32_bits_cost_34_cubes() {
        let other = [38, 40].map(|value| Condition::low_word(0, u32::MAX, value, false));
        assert_eq!(of_all(&other).len(), 34);
    }
}
