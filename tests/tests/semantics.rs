// SPDX-License-Identifier: Apache-2.0
//! What the CRI's clients count on besides its fields: the table `tests/semantics.tsv`, held to the sources of the tests.
//!
//! A row is `KEY <tab> WHAT <tab> HOW <tab> PROOF`. KEY is one of [`AREAS`], a dot and a word; the traps are numbered. WHAT
//! says it in a sentence. HOW is
//! - `test`: PROOF names tests, parted by blanks, that fail when it is broken;
//! - `refused`: the same, and the request fails with a sentence;
//! - `no-effect`: PROOF says why nothing of it can be seen on this runtime;
//! - `absent`: the feature is not there yet; PROOF says what is done instead.

use gorae_tests::proofs;
use std::collections::BTreeSet;

/// What rows are about: the connection, clients that give up, error codes, ids with names and filters, what kubelet's
/// client throws away, and the mistakes that runtimes are known for.
const AREAS: [&str; 6] = ["transport", "deadline", "code", "name", "malformed", "trap"];
/// How many mistakes there are.
const TRAPS: usize = 25;

/// What is wrong with a row; `None` for a good one.
fn fault(key: &str, what: &str, how: &str, proof: &str) -> Option<String> {
    if !key.split_once('.').is_some_and(|(area, word)| AREAS.contains(&area) && !word.is_empty()) {
        return Some("is no AREA.word".into());
    }
    if what.split_whitespace().count() < 4 {
        return Some("says not what".into());
    }
    match how {
        "test" | "refused" if proof.is_empty() => Some("names no test".into()),
        "test" | "refused" => proof.split(' ').find_map(proofs::no_test),
        "no-effect" | "absent" => proofs::no_reason(proof),
        other => Some(format!("{other:?} is no way to keep a promise")),
    }
}

#[test]
fn every_row_has_its_proof_and_every_trap_its_row() {
    let mut named = BTreeSet::new();
    let mut faults = Vec::new();
    for [key, what, how, proof] in &proofs::rows::<4>("semantics.tsv") {
        if !named.insert(key.clone()) {
            faults.push(format!("{key}: has two rows"));
        }
        faults.extend(fault(key, what, how, proof).map(|why| format!("{key}: {why}")));
    }
    let traps: BTreeSet<_> = (1..=TRAPS).map(|n| format!("trap.{n}")).collect();
    let is_trap = |key: &String| key.starts_with("trap.");
    faults.extend(traps.difference(&named).map(|key| format!("{key}: has no row")));
    faults
        .extend(named.iter().filter(|key| is_trap(key) && !traps.contains(*key)).map(|key| format!("{key}: is none")));
    for area in AREAS {
        if !named.iter().any(|key| key.starts_with(area)) {
            faults.push(format!("{area}: has no row"));
        }
    }
    assert!(faults.is_empty(), "tests/semantics.tsv:\n{}", faults.join("\n"));
}

#[test]
fn a_row_that_proves_nothing_is_noticed() {
    let (own, what) = ("semantics::a_row_that_proves_nothing_is_noticed", "the table is held to the sources");
    assert_eq!(fault("code.x", what, "test", &format!("{own} {own}")), None);
    assert!(fault("code.x", what, "test", &format!("{own} semantics::no_such_test")).is_some());
    assert!(fault("code.x", what, "test", "").is_some() && fault("code.x", what, "absent", "no").is_some());
    assert!(fault("code", what, "test", own).is_some() && fault("else.x", what, "test", own).is_some());
    assert!(fault("code.x", "what", "test", own).is_some() && fault("code.x", what, "ignored", own).is_some());
}
