// SPDX-License-Identifier: Apache-2.0
//! Two builds of goraed, measured in turns in one run.
//!
//! Each round measures either build once, by a process of this program. Whatever else the machine does falls on both, and
//! each round has a ratio of its own; what is shown is the median of the rounds. The floor is the same program for both:
//! how far its ratio is from 1 says how noisy the machine is.

use super::arguments::Arguments;
use anyhow::{Context, Result, ensure};
use gorae_tests::place;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// What one run has measured, by name; of all of it less is better.
type Figures = BTreeMap<String, f64>;

/// Measures the binaries in `base` and the usual ones, and prints a line for each figure.
pub fn compare(arguments: &Arguments, base: &Path) -> Result<()> {
    let here = place::binary("goraed").parent().context("a binary has a directory")?.to_owned();
    let mut rounds = Vec::new();
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        // The second finds a machine that the first has warmed up: they take turns in that as well.
        let (of_base, of_here) = if round % 2 == 0 {
            let of_base = run(arguments, base)?;
            (of_base, run(arguments, &here)?)
        } else {
            let of_here = run(arguments, &here)?;
            (run(arguments, base)?, of_here)
        };
        rounds.push((of_base, of_here));
    }
    print!("{}", table(&rounds, arguments.max));
    Ok(())
}

/// One run against the binaries of a directory.
fn run(arguments: &Arguments, binaries: &Path) -> Result<Figures> {
    let file = tempfile::NamedTempFile::new()?;
    let mut command = Command::new(std::env::current_exe()?);
    let numbers = [
        ("--iterations", arguments.iterations as u64),
        ("--pods", arguments.pods as u64),
        ("--calls", arguments.calls as u64),
        ("--rest", arguments.rest),
        ("--pause", arguments.pause),
    ];
    for (name, value) in numbers {
        command.arg(name).arg(value.to_string());
    }
    command.arg("--json").arg(file.path()).env("GORAE_BIN", binaries).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().context("run this program again")?;
    ensure!(status.success(), "the binaries of {} could not be measured, see above", binaries.display());
    let text = std::fs::read_to_string(file.path())?;
    Ok(figures(&serde_json::from_str(&text).context("read what was measured")?))
}

/// The figures of a run's JSON: medians of times, and numbers about memory and rest.
fn figures(run: &Value) -> Figures {
    let mut found = Figures::new();
    let mut add = |name: String, value: &Value| {
        if let Some(number) = value.as_f64().or_else(|| value.get("p50")?.as_f64()) {
            found.insert(name, number);
        }
    };
    for (name, value) in entries(&run["lifecycle_ms"]).filter(|(name, _)| !name.starts_with("ratio_")) {
        add(format!("{name}, ms"), value);
    }
    add("floor: pod_to_exec, ms".into(), &run["lifecycle_ms"]["floor"]["pod_to_exec"]);
    add("daemon idle, PSS, kB".into(), &run["daemon_idle_pss_kb"]);
    let density = &run["density"];
    add("shims, PSS a pod, kB".into(), &density["shims_pss_kb_per_pod"]);
    add("daemon with the pods, PSS, kB".into(), &density["daemon_pss_kb"]);
    add("CPU at rest, ms".into(), &density["cpu_at_rest_ms"]);
    for (name, value) in entries(&density["calls_ms"]) {
        add(format!("with the pods: {name}, ms"), value);
    }
    found
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

/// A line for each figure that every run has: both medians, the median ratio, and whether that is above `max`.
fn table(rounds: &[(Figures, Figures)], max: f64) -> String {
    let Some((first, _)) = rounds.first() else { return String::new() };
    let mut text = format!("{:<44} {:>10} {:>10} {:>8} {:>8}\n", "medians", "base", "here", "ratio", "at most");
    for name in first.keys() {
        let pairs: Option<Vec<_>> =
            rounds.iter().map(|(base, here)| Some((*base.get(name)?, *here.get(name)?))).collect();
        let Some(pairs) = pairs else { continue };
        let base = median(pairs.iter().map(|(base, _)| *base));
        let here = median(pairs.iter().map(|(_, here)| *here));
        let ratio = median(pairs.iter().map(|(base, here)| here / base));
        let mark = if ratio > max { "  above it" } else { "" };
        text += &format!("{name:<44} {base:>10.3} {here:>10.3} {ratio:>8.3} {max:>8.2}{mark}\n");
    }
    text
}

/// The middle value, or the mean of the two in the middle; not a number without any.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 1) => values[middle],
        (middle, _) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_figures_of_a_run_are_its_medians_and_its_memory() {
        let run = json!({
            "daemon_idle_pss_kb": 6000,
            "lifecycle_ms": {"total": {"p50": 20.5, "p95": 30.0}, "ratio_to_floor_exec": 2.0, "floor": {"pod_to_exec": {"p50": 3.0}}},
            "density": {"shims_pss_kb_per_pod": 700.5, "calls_ms": {"Version": {"p50": 0.2}, "ListMetricDescriptors": "Unimplemented"}},
        });
        let found: Vec<_> = figures(&run).into_iter().collect();
        let expected = [
            ("daemon idle, PSS, kB", 6000.0),
            ("floor: pod_to_exec, ms", 3.0),
            ("shims, PSS a pod, kB", 700.5),
            ("total, ms", 20.5),
            ("with the pods: Version, ms", 0.2),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn what_is_slower_than_allowed_in_most_rounds_is_marked() {
        let round = |base: [f64; 2], here: [f64; 2]| {
            let figures = |[a, b]: [f64; 2]| Figures::from([("a".to_owned(), a), ("b".to_owned(), b)]);
            (figures(base), figures(here))
        };
        let rounds =
            [round([1.0, 10.0], [1.02, 11.0]), round([2.0, 20.0], [2.0, 22.0]), round([3.0, 10.0], [9.0, 9.0])];
        let text = table(&rounds, 1.03);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1..], ["a 2.000 2.000 1.020 1.03", "b 10.000 11.000 1.100 1.03 above it"]);
    }
}
