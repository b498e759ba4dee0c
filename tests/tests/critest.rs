// SPDX-License-Identifier: Apache-2.0
//! The conformance suite of the CRI, pinned at v1.36.0, against a node of ours.
//!
//! `tests/critest-not-passing.txt` lists the specs that do not pass yet. It may only shrink: a listed spec that
//! passes fails this test, and so does an unlisted one that fails.

use gorae_tests::{on_a_node_for, place};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a spec came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// A spec's name, as its headings say it, and its outcome.
type Spec = (String, Outcome);

#[test]
fn every_spec_passes_but_the_listed_ones() {
    on_a_node_for(Duration::from_secs(1200), async |node| {
        let report = node.directory("critest").join("report.json");
        let log = node.directory("critest").join("log");
        let out = std::fs::File::create(&log).unwrap();
        let mut critest = Command::new(place::tool("critest"));
        critest
            .arg(format!("-runtime-endpoint={}", node.cri().endpoint()))
            .arg(format!("-ginkgo.json-report={}", report.display()))
            .args(["-ginkgo.no-color", "-ginkgo.timeout=18m", "-ginkgo.seed=1"])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        let focus = std::env::var("CRITEST_FOCUS").ok();
        if let Some(focus) = &focus {
            critest.arg(format!("-ginkgo.focus={focus}"));
        }
        // It ends with 1 when a spec failed: the report says which.
        let mut child = critest.spawn().unwrap();
        let status = tokio::task::block_in_place(|| child.wait()).unwrap();
        let text = std::fs::read_to_string(&report)
            .unwrap_or_else(|e| panic!("critest ended with {status} and no report ({e}):\n{}", tail(&log)));
        let specs = specs(&serde_json::from_str(&text).unwrap());
        let failed = specs.iter().filter(|(_, o)| matches!(o, Outcome::Failed(_))).count();
        let passed = specs.iter().filter(|(_, o)| *o == Outcome::Passed).count();
        println!("\ncritest: {passed} passed, {failed} failed, {} skipped", specs.len() - passed - failed);
        for (name, outcome) in &specs {
            match outcome {
                Outcome::Failed(why) => println!("FAILED {name}\n    {}", why.replace('\n', "\n    ")),
                Outcome::Skipped(why) if !why.is_empty() => println!("skipped {name}: {why}"),
                _ => {}
            }
        }
        let wrong = judge(&specs, &listed(), focus.is_some());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(passed > 0, "critest ran nothing:\n{}", tail(&log));
    });
}

fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The listed specs; empty lines and comments left out.
fn listed() -> BTreeSet<String> {
    let lines = include_str!("../critest-not-passing.txt").lines();
    lines.map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect()
}

/// The specs of ginkgo's report that ran or were skipped by themselves; benchmarks and what a focus leaves out are
/// not among them.
fn specs(report: &Value) -> Vec<Spec> {
    let reports =
        report.as_array().into_iter().flatten().flat_map(|s| s["SpecReports"].as_array().into_iter().flatten());
    reports.filter(|r| r["LeafNodeType"] == "It").filter_map(spec).collect()
}

fn spec(report: &Value) -> Option<Spec> {
    let headings = report["ContainerHierarchyTexts"].as_array().into_iter().flatten();
    let words = headings.chain([&report["LeafNodeText"]]).filter_map(Value::as_str);
    // The framework's own prefix stands before every heading.
    let name = words.collect::<Vec<_>>().join(" ").replace("[k8s.io] ", "");
    let why = report["Failure"]["Message"].as_str().unwrap_or_default().to_owned();
    let outcome = match report["State"].as_str()? {
        "passed" => Outcome::Passed,
        "pending" => return None,
        "skipped" if why.is_empty() => return None,
        "skipped" => Outcome::Skipped(why),
        _ => Outcome::Failed(why),
    };
    Some((name, outcome))
}

/// What is wrong with these outcomes, one line each.
fn judge(specs: &[Spec], listed: &BTreeSet<String>, part: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, outcome) in specs {
        match (outcome, listed.contains(name)) {
            (Outcome::Failed(_), false) => wrong.push(format!("fails and is not listed: {name}")),
            // What this machine cannot do, no runtime can; anything else that is skipped is a feature that is missing.
            (Outcome::Skipped(why), false) if !why.starts_with("AppArmor is disabled") => {
                wrong.push(format!("is skipped and not listed: {name}: {why}"));
            }
            (Outcome::Passed, true) => wrong.push(format!("passes: remove this line from the list: {name}")),
            _ => {}
        }
    }
    let known: BTreeSet<_> = specs.iter().map(|(name, _)| name).collect();
    if !part {
        wrong.extend(
            listed.iter().filter(|l| !known.contains(l)).map(|l| format!("no such spec, remove this line: {l}")),
        );
    }
    wrong
}

#[cfg(test)]
mod judging {
    use super::*;

    fn outcomes() -> Vec<Spec> {
        vec![("good".into(), Outcome::Passed), ("bad".into(), Outcome::Failed("why".into()))]
    }

    #[test]
    fn a_failure_must_be_listed() {
        assert_eq!(judge(&outcomes(), &BTreeSet::new(), false), ["fails and is not listed: bad"]);
        let skipped = |why: &str| vec![("user namespaces".to_owned(), Outcome::Skipped(why.to_owned()))];
        assert_eq!(judge(&skipped("no support"), &BTreeSet::new(), false).len(), 1);
        assert!(judge(&skipped("AppArmor is disabled on this host"), &BTreeSet::new(), false).is_empty());
        assert!(judge(&outcomes(), &BTreeSet::from(["bad".into()]), false).is_empty());
    }

    #[test]
    fn the_list_may_only_shrink() {
        let list = BTreeSet::from(["bad".into(), "good".into(), "gone".into()]);
        let wrong = judge(&outcomes(), &list, false);
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].ends_with("good") && wrong[1].ends_with("gone"), "{wrong:?}");
    }
}
