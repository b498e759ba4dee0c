// SPDX-License-Identifier: Apache-2.0
//! `tests/fields.tsv` against the table of the CRI and against the sources of the tests.
//!
//! A row is `MESSAGE.FIELD <tab> HOW <tab> PROOF`. HOW is
//! - `test`: PROOF is `SUITE::name`, which fails when the field is ignored;
//! - `refused`: the same, and the request fails with a sentence;
//! - `no-effect`: PROOF says why nothing is done with the field on this runtime, and nothing is lost;
//! - `windows`: the field is for nodes with Windows.
//!
//! [`proofs`] says how a test is named.

use gorae_tests::place::checkout;
use gorae_tests::proofs;
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a message: name and type.
type Messages = BTreeMap<String, Vec<(String, String)>>;

/// The CRI's messages, and the names of those that requests are made of.
fn contract() -> (Messages, Vec<String>) {
    let path = checkout().join("proto/tests/data/cri-v1-fields.tsv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (mut messages, mut requests, mut section) = (Messages::new(), Vec::new(), 0);
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# section ") {
            section = head[..1].parse().expect("sections are numbered");
        }
        let cells: Vec<_> = line.split('\t').collect();
        match (section, cells.as_slice()) {
            (1, [message, field, _, kind, ..]) if !line.starts_with('#') => {
                messages.entry((*message).to_owned()).or_default().push(((*field).to_owned(), (*kind).to_owned()));
            }
            (3, [_, _, request, ..]) if !line.starts_with('#') => requests.push((*request).to_owned()),
            _ => {}
        }
    }
    assert!(messages.len() > 100 && requests.len() > 40, "the CRI's table was not understood");
    (messages, requests)
}

/// All fields that a client can set.
fn fields_of_requests() -> BTreeSet<String> {
    let (messages, mut open) = contract();
    let (mut seen, mut fields) = (BTreeSet::new(), BTreeSet::new());
    while let Some(message) = open.pop() {
        let Some(list) = messages.get(&message).filter(|_| seen.insert(message.clone())) else { continue };
        for (field, kind) in list {
            fields.insert(format!("{message}.{field}"));
            open.push(kind.clone());
        }
    }
    fields
}

/// What is wrong with a row; `None` for a good one.
fn fault(how: &str, proof: &str, field: &str) -> Option<String> {
    match how {
        "test" | "refused" => proofs::no_test(proof),
        "no-effect" => proofs::no_reason(proof),
        "windows" => {
            let fits = field.starts_with("Windows") || field.ends_with(".windows");
            (!fits).then(|| "is not a field for Windows".into())
        }
        other => Some(format!("{other:?} is no way to honour a field")),
    }
}

#[test]
fn every_field_of_every_request_has_a_row_and_each_row_a_proof() {
    let (fields, rows) = (fields_of_requests(), proofs::rows::<3>("fields.tsv"));
    let mut named = BTreeSet::new();
    let mut faults = Vec::new();
    for [field, how, proof] in &rows {
        if !fields.contains(field) {
            faults.push(format!("{field}: no request has it"));
        }
        if !named.insert(field.clone()) {
            faults.push(format!("{field}: has two rows"));
        }
        faults.extend(fault(how, proof, field).map(|why| format!("{field}: {why}")));
    }
    faults.extend(fields.difference(&named).map(|field| format!("{field}: has no row")));
    assert!(faults.is_empty(), "tests/fields.tsv:\n{}", faults.join("\n"));
}

#[test]
fn a_row_without_its_test_is_noticed() {
    assert_eq!(fault("test", "fields::a_row_without_its_test_is_noticed", "A.b"), None);
    assert!(fault("refused", "fields::no_such_test", "A.b").is_some());
    assert!(fault("no-effect", "because", "A.b").is_some() && fault("windows", "", "A.b").is_some());
    assert!(fault("ignored", "", "A.b").is_some() && fault("windows", "", "A.windows").is_none());
}
