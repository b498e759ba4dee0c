// SPDX-License-Identifier: Apache-2.0
//! The chain `FORWARD` of iptables-legacy. It is asked for only when the kernel says that its table is in use, because
//! asking makes the table.

use super::gate::{Gate, Place};
use super::iptables_text;
use super::rule::{Ours, Rule};
use super::step::Step;
use crate::command::{self, Failure};
use crate::error::NetworkError;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(3);

/// Finds the chain of each family.
///
/// # Errors
/// [`NetworkError::Iptables`].
pub async fn find(owner: &str) -> Result<Vec<Gate>, NetworkError> {
    let mut found = Vec::new();
    for v4 in [true, false] {
        let names = if v4 { "/proc/net/ip_tables_names" } else { "/proc/net/ip6_tables_names" };
        let in_use = std::fs::read_to_string(names).unwrap_or_default();
        if in_use.lines().any(|name| name == "filter") {
            let listing = list(v4).await?;
            let policy = listing.lines().any(|line| line.trim() == "-P FORWARD DROP");
            let last =
                iptables_text::chains(&listing).get("FORWARD").and_then(|rules| rules.last().map(Step::refuses_all));
            let last = last.unwrap_or(false);
            found.push(Gate { place: Place::Legacy { v4 }, policy, last, ours: ours(owner, &listing) });
        }
    }
    Ok(found)
}

/// Lists the table.
///
/// # Errors
/// [`NetworkError::Iptables`].
pub async fn list(v4: bool) -> Result<String, NetworkError> {
    run(v4, &["-w", "2", "-S"]).await
}

/// Adds or removes a rule of ours.
///
/// # Errors
/// [`NetworkError::Iptables`].
pub async fn change(v4: bool, verb: &str, rule: &Rule) -> Result<(), NetworkError> {
    let (subnet, accept) = (rule.subnet.to_string(), ["-m", "comment", "--comment", &rule.comment, "-j", "ACCEPT"]);
    run(v4, &[&["-w", "2", verb, "FORWARD", rule.option(), &subnet], &accept[..]].concat()).await.map(drop)
}

/// Removes a rule of ours.
///
/// # Errors
/// [`NetworkError::Iptables`].
pub async fn delete(v4: bool, ours: &Ours) -> Result<(), NetworkError> {
    let owner = ours.comment.split(' ').next().unwrap_or_default();
    match Rule::read(owner, &ours.comment) {
        Some(rule) => change(v4, "-D", &rule).await,
        None => Ok(()),
    }
}

/// The program, by its name: where iptables has no other, it has no suffix.
fn program(v4: bool) -> &'static str {
    let [legacy, plain] = if v4 { ["iptables-legacy", "iptables"] } else { ["ip6tables-legacy", "ip6tables"] };
    if command::find(legacy).is_some() { legacy } else { plain }
}

/// Our rules in a listing.
fn ours(owner: &str, listing: &str) -> Vec<Ours> {
    let in_forward = listing.lines().filter(|line| line.starts_with("-A FORWARD "));
    let comments = in_forward.filter_map(|line| line.split('"').nth(1));
    comments.filter_map(|c| Rule::read(owner, c)).map(|rule| Ours { comment: rule.comment, handle: 0 }).collect()
}

async fn run(v4: bool, arguments: &[&str]) -> Result<String, NetworkError> {
    let name = program(v4);
    let fail = |why| NetworkError::Iptables { program: name, why };
    let path = command::find(name).ok_or_else(|| fail("it is not installed".into()))?;
    command::run(&path, arguments, "", DEADLINE).await.map_err(|failure| match failure {
        Failure::Run(error) => fail(error.to_string()),
        Failure::Deadline => fail(format!("it did not finish within {} s", DEADLINE.as_secs())),
        Failure::Status(said) => fail(said),
    })
}
