// SPDX-License-Identifier: Apache-2.0
//! Turns rules into a search over syscall numbers, with few comparisons and few instructions.
//!
//! Numbers form ranges with the same decision. A single number inside a larger range (`a…a b a…a`) costs one comparison
//! for equality where two splits would cost two; the rest is a balanced tree of splits. The path to a plain action uses
//! only loads of number and architecture and comparisons, because the kernel can evaluate those in advance: such calls
//! then skip the filter altogether (kernel/seccomp.c, the action cache).

use super::arch::{Arch, X32_BIT, X32_FIRST, X32_NAMES};
use super::graph::{self, Compare, Graph, Id};
use super::profile::{Action, Condition, Profile, Rule};
use std::collections::BTreeMap;

/// The most equality tests in a row. Above this, one more split pays off, because the kernel walks the path of every
/// number once when it loads the filter.
const LONGEST_CHAIN: usize = 8;

/// Builds the decision for everything: architecture, number, arguments.
pub(super) fn decide(graph: &mut Graph, profile: &Profile) -> Id {
    let default = graph.action(profile.default);
    let mut audits: Vec<u32> = profile.arches.iter().map(|arch| arch.audit()).collect();
    audits.sort_unstable();
    audits.dedup();
    // Native first, because almost all calls use it.
    audits.sort_by_key(|audit| *audit != Arch::NATIVE.audit());
    let foreign = graph.action(Action::KillProcess);
    let tree = audits.iter().rev().fold(foreign, |others, audit| {
        let ranges = ranges(graph, profile, *audit, default);
        let numbers = search(graph, &ranges);
        let numbers = graph.load(graph::NR, numbers);
        graph.branch(Compare::Equal, *audit, numbers, others)
    });
    graph.load(graph::ARCH, tree)
}

/// Numbers with the same decision, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    fate: Id,
}

/// The decisions for all 2^32 numbers under one audit value.
fn ranges(graph: &mut Graph, profile: &Profile, audit: u32, default: Id) -> Vec<Range> {
    let base = unmentioned(graph, profile, audit, default);
    let mut starts = base.clone();
    for arch in profile.arches.iter().filter(|arch| arch.audit() == audit) {
        for (number, fate) in mentioned(graph, profile, *arch, default) {
            let after = number.wrapping_add(1);
            let (_, unmentioned) = base.range(..=after).next_back().expect("0 has a fate");
            starts.entry(after).or_insert(*unmentioned);
            starts.insert(number, fate);
        }
    }
    let mut ranges: Vec<Range> = Vec::new();
    for (first, fate) in starts {
        match ranges.last_mut() {
            Some(before) if before.fate == fate => {}
            Some(before) => {
                before.last = first - 1;
                ranges.push(Range { first, last: u32::MAX, fate });
            }
            None => ranges.push(Range { first, last: u32::MAX, fate }),
        }
    }
    ranges
}

/// The start of each range of decisions, for numbers that no rule names.
fn unmentioned(graph: &mut Graph, profile: &Profile, audit: u32, default: Id) -> BTreeMap<u32, Id> {
    let enosys = graph.action(Action::ENOSYS);
    let mut starts = BTreeMap::from([(0, default)]);
    for arch in profile.arches.iter().filter(|arch| arch.audit() == audit) {
        if *arch == Arch::X32 {
            starts.insert(X32_BIT, default);
        }
        if let Some(newest) = profile.newest(*arch) {
            starts.insert(newest + 1, enosys);
        }
    }
    if audit == Arch::X32.audit() {
        if !profile.arches.contains(&Arch::X32) {
            starts.insert(X32_BIT, enosys);
        }
        if profile.default.lets_through() {
            // Kernels with x32 used to accept its own numbers without the bit as well, which bypasses a list of denied
            // calls.
            starts.insert(X32_FIRST, enosys);
            starts.insert(X32_FIRST + X32_NAMES.len() as u32, default);
        }
    }
    starts
}

/// The decision for each number that a rule names.
fn mentioned(graph: &mut Graph, profile: &Profile, arch: Arch, default: Id) -> BTreeMap<u32, Id> {
    let mut decisions: BTreeMap<u32, Vec<(Action, Vec<Condition>)>> = BTreeMap::new();
    let mut around = Vec::new();
    for Rule { names, action, conditions } in &profile.rules {
        for name in names {
            if let Some(number) = arch.number(name) {
                decisions.entry(number).or_default().push((*action, conditions.clone()));
            }
            if let Some(way) = arch.multiplexed(name).filter(|_| conditions.is_empty()) {
                around.push((way, *action));
            }
        }
    }
    for (way, action) in around {
        if let Some(number) = arch.number(way.through) {
            let condition = Condition::low_word(0, way.mask, way.call, true);
            decisions.entry(number).or_default().push((action, vec![condition]));
        }
    }
    decisions.into_iter().map(|(number, rules)| (number, fate(graph, &rules, default))).collect()
}

/// Builds the decision of one syscall's rules.
fn fate(graph: &mut Graph, rules: &[(Action, Vec<Condition>)], default: Id) -> Id {
    if let Some((action, _)) = rules.iter().find(|(_, conditions)| conditions.is_empty()) {
        return graph.action(*action);
    }
    rules.iter().rev().fold(default, |otherwise, (action, conditions)| {
        let action = graph.action(*action);
        conditions.iter().rev().fold(action, |holds, condition| graph.condition(*condition, holds, otherwise))
    })
}

/// A range, and the single numbers inside it that have a different decision.
#[derive(Debug)]
struct Stretch {
    range: Range,
    singles: Vec<Range>,
}

/// Builds the search over ranges that cover all numbers.
fn search(graph: &mut Graph, ranges: &[Range]) -> Id {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut rest = ranges.iter().peekable();
    while let Some(range) = rest.next() {
        let Some(before) = stretches.last_mut() else {
            stretches.push(Stretch { range: *range, singles: Vec::new() });
            continue;
        };
        let closes = rest.peek().is_some_and(|next| next.fate == before.range.fate);
        if range.first == range.last && closes {
            before.singles.push(*range);
            before.range.last = rest.next().map_or(range.last, |next| next.last);
        } else {
            stretches.push(Stretch { range: *range, singles: Vec::new() });
        }
    }
    split_stretches(graph, &stretches)
}

fn split_stretches(graph: &mut Graph, stretches: &[Stretch]) -> Id {
    if let [one] = stretches {
        return split_singles(graph, one.range.fate, &one.singles);
    }
    let weight = |stretches: &[Stretch]| stretches.iter().map(|stretch| 1 + stretch.singles.len()).sum::<usize>();
    let total = weight(stretches);
    let middle = (1..stretches.len())
        .min_by_key(|at| weight(&stretches[..*at]).abs_diff(total / 2))
        .expect("there are at least two stretches");
    let (low, high) = stretches.split_at(middle);
    let at = high[0].range.first;
    // The part that is built last ends up next to the branch; the other one is as far away as that part is long.
    let (low, high) = if weight(low) > weight(high) {
        let low = split_stretches(graph, low);
        (low, split_stretches(graph, high))
    } else {
        let high = split_stretches(graph, high);
        (split_stretches(graph, low), high)
    };
    graph.branch(Compare::AtLeast, at, high, low)
}

fn split_singles(graph: &mut Graph, fate: Id, singles: &[Range]) -> Id {
    if singles.len() <= LONGEST_CHAIN {
        let test = |no, single: &Range| graph.branch(Compare::Equal, single.first, single.fate, no);
        return singles.iter().rev().fold(fate, test);
    }
    let (low, high) = singles.split_at(singles.len() / 2);
    let at = high[0].first;
    let high = split_singles(graph, fate, high);
    let low = split_singles(graph, fate, low);
    graph.branch(Compare::AtLeast, at, high, low)
}
