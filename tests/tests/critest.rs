// SPDX-License-Identifier: Apache-2.0
//! The conformance suite of the CRI, pinned at v1.36.0, against a node of ours.
//!
//! `tests/critest-not-passing.txt` lists the specs that do not pass yet. It may only shrink: a listed spec that
//! passes fails this test, and so does an unlisted one that fails.

use gorae_tests::testing::soon;
use gorae_tests::{Cni, on_a_node_for, place};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a spec came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// A spec's name, as its headings say it, and its outcome.
type Spec = (String, Outcome);

/// Streaming over WebSocket instead of SPDY.
const WEBSOCKET: [&str; 3] = ["-websocket-exec", "-websocket-attach", "-websocket-portforward"];

/// The longest that one run may take; it takes some 70 s.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn every_spec_passes_but_the_listed_ones() {
    critest(&Run::alone());
}

#[test]
fn every_spec_passes_in_random_order_over_websocket() {
    critest(&Run { websocket: true, seed: Some(seed()), ..Run::alone() });
}

#[test]
fn every_spec_passes_eight_at_a_time() {
    critest(&Run { seed: Some(seed()), at_once: 8, ..Run::alone() });
}

/// With a plugin that maps host ports, and without one, which leaves them to the daemon.
#[test]
fn the_specs_about_networks_pass_in_a_cni_network() {
    let network = json!({
        "type": "bridge", "bridge": "cni-critest", "isGateway": true, "ipMasq": true, "hairpinMode": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.87.0.0/24"}], [{"subnet": "fd00:87::/64"}]]},
    });
    let portmap = json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true}});
    for plugins in [json!([network, portmap]), json!([network])] {
        let list = json!({"name": "critest", "cniVersion": "1.0.0", "plugins": plugins}).to_string();
        let run = Run { cni: Some(list), focus: Some("[Nn]etwork|portforward".to_owned()), ..Run::alone() };
        critest(&run);
    }
}

/// How the suite is run.
struct Run {
    websocket: bool,
    /// In the order that follows from this number; in the suite's own order without.
    seed: Option<u64>,
    at_once: u32,
    /// Only the specs with this in their names.
    focus: Option<String>,
    /// The configuration of the network that the pods are in; the built-in one without.
    cni: Option<String>,
}

/// A new order every time, so that all runs together see many; `CRITEST_SEED` repeats one.
fn seed() -> u64 {
    let given = std::env::var("CRITEST_SEED").ok().map(|s| s.parse().expect("CRITEST_SEED is a number"));
    given.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64 % 100_000
    })
}

fn critest(run: &Run) {
    on_a_node_for(LIMIT * 2, async |node| {
        let cni = run.cni.as_ref().map(|list| {
            let cni = Cni::install(&["bridge", "host-local", "portmap"]);
            cni.configure("10-critest.conflist", list);
            cni
        });
        if cni.is_some() {
            let in_use = async || node.daemon().log().contains("the CNI network is ready").then_some(());
            soon("the CNI network is in use", in_use).await;
        }
        let report = node.directory("critest").join("report.json");
        let log = node.directory("critest").join("log");
        let mut command = run.command(&node.cri().endpoint(), &report);
        let out = std::fs::File::create(&log).expect("the file is made");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a second descriptor")).stderr(out);
        let begin = Instant::now();
        // It ends with 1 when a spec failed: the report says which.
        let status = tokio::process::Command::from(command).kill_on_drop(true).status().await.expect("it ends");
        let text = std::fs::read_to_string(&report)
            .unwrap_or_else(|e| panic!("critest ended with {status} and no report ({e}):\n{}", tail(&log)));
        let specs = specs(&serde_json::from_str(&text).expect("JSON"));
        let passed = say(&specs, run, begin.elapsed());
        let wrong = judge(&specs, &listed(), run.focus.is_some());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(passed > 0, "critest ran nothing:\n{}", tail(&log));
        // The plugins are needed until all pods are gone.
        node.sweep().await.expect("all pods can be removed");
        drop(cni);
        // As an operator does who wants the built-in network back.
        let _ = std::fs::remove_file(node.daemon().root().join("cni-seen"));
    });
}

impl Run {
    /// All specs, one at a time, in the suite's order, over SPDY, in the built-in network.
    fn alone() -> Self {
        Self { websocket: false, seed: None, at_once: 1, focus: std::env::var("CRITEST_FOCUS").ok(), cni: None }
    }

    /// critest itself, or ginkgo that runs several of it.
    fn command(&self, endpoint: &str, report: &Path) -> Command {
        let alone = self.at_once == 1;
        let mut command = Command::new(place::tool(if alone { "critest" } else { "ginkgo" }));
        let mut option = |name: &str, value: &str| {
            let dashes = if alone { "-ginkgo." } else { "--" };
            command.arg(format!("{dashes}{name}{}{value}", if value.is_empty() { "" } else { "=" }));
        };
        option("no-color", "");
        option("timeout", &format!("{}s", LIMIT.as_secs()));
        option("seed", &self.seed.unwrap_or(1).to_string());
        if self.seed.is_some() {
            option("randomize-all", "");
        }
        if let Some(focus) = &self.focus {
            option("focus", focus);
        }
        if alone {
            option("json-report", &report.display().to_string());
        } else {
            option("procs", &self.at_once.to_string());
            option("output-dir", &report.parent().expect("it has a parent").display().to_string());
            option("json-report", "report.json");
            // What is compiled already is known by this ending.
            let compiled = report.with_file_name("critest.test");
            std::os::unix::fs::symlink(place::tool("critest"), &compiled).expect("the link is made");
            command.arg(compiled).arg("--");
        }
        command.arg(format!("-runtime-endpoint={endpoint}")).args(WEBSOCKET.iter().filter(|_| self.websocket));
        command
    }
}

/// Prints the sum and what did not pass; returns how many passed.
fn say(specs: &[Spec], run: &Run, took: Duration) -> usize {
    let failed = specs.iter().filter(|(_, o)| matches!(o, Outcome::Failed(_))).count();
    let passed = specs.iter().filter(|(_, o)| *o == Outcome::Passed).count();
    let order = run.seed.map_or_else(String::new, |seed| format!(", CRITEST_SEED={seed}"));
    println!(
        "\ncritest ({} at once{}{order}): {passed} passed, {failed} failed, {} skipped in {:.1} s",
        run.at_once,
        if run.websocket { ", WebSocket" } else { "" },
        specs.len() - passed - failed,
        took.as_secs_f32()
    );
    for (name, outcome) in specs {
        match outcome {
            Outcome::Failed(why) => println!("FAILED {name}\n    {}", why.replace('\n', "\n    ")),
            Outcome::Skipped(why) if !why.is_empty() => println!("skipped {name}: {why}"),
            _ => {}
        }
    }
    passed
}

fn tail(log: &Path) -> String {
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
