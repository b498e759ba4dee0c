// SPDX-License-Identifier: Apache-2.0
//! `gorae network ls`.

use crate::context::Context;
use crate::networks;
use crate::output::table::{short, table};
use crate::parse::filter::{self, Filters, filters};
use crate::parse::timestamp;
use anyhow::{Result, ensure};
use gorae_proto::gorae::Network;
use serde::Serialize;
use std::collections::HashMap;

/// The keys of `--filter`, as Docker's.
const KEYS: &[&str] = &["dangling", "driver", "id", "label", "name", "scope", "type"];
/// The networks that are always there.
const BUILTIN: &[&str] = &["bridge", "host", "none"];

/// Stands for the name of a network whose record is damaged. No network can have it.
const DAMAGED: &str = "<damaged>";

/// The arguments of `network ls`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Show only some: name=TEXT, id=TEXT, driver=NAME, label=KEY[=VALUE], type=custom|builtin, dangling=true|false
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
}

/// One network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    driver: String,
    scope: &'static str,
    created_at: String,
    internal: bool,
    subnets: Vec<String>,
    /// Names of the pods in it.
    containers: Vec<String>,
    labels: HashMap<String, String>,
    /// What to do about its damaged record.
    #[serde(skip_serializing_if = "String::is_empty")]
    damaged: String,
}

/// Lists the networks by name.
///
/// # Errors
/// When a filter has another form, the daemon refuses the list, or the table cannot be printed.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let filters = checked(&args.filter)?;
    let client = context.connect().await?;
    let mut rows: Vec<Row> = networks::list(&client).await?.into_iter().map(row).collect();
    rows.retain(|row| matches(row, &filters));
    let id = |row: &Row| if args.no_trunc { row.id.clone() } else { short(&row.id) };
    context.output.list(&rows, id, |rows| {
        let cells = |row: &Row| {
            let (subnets, containers) = (row.subnets.join(", "), row.containers.len().to_string());
            let name = if row.damaged.is_empty() { &row.name } else { DAMAGED };
            [id(row), name.to_owned(), row.driver.clone(), subnets, containers]
        };
        table(["NETWORK ID", "NAME", "DRIVER", "SUBNETS", "CONTAINERS"], rows.iter().map(cells))
    })?;
    rows.iter().filter(|row| !row.damaged.is_empty()).for_each(|row| context.output.remark(&row.damaged));
    Ok(0)
}

fn row(network: Network) -> Row {
    let settings = network.settings.unwrap_or_default();
    Row {
        id: network.id,
        name: network.name,
        driver: settings.driver,
        scope: "local",
        created_at: timestamp::show(network.created_at),
        internal: settings.internal,
        subnets: settings.subnets.into_iter().map(|subnet| subnet.subnet).collect(),
        containers: network.members.into_iter().map(|member| member.pod_name).collect(),
        labels: settings.labels,
        damaged: network.damaged,
    }
}

/// The filters, each with values that it can have.
fn checked(texts: &[String]) -> Result<Filters> {
    let filters = filters(texts, KEYS)?;
    let closed = [("dangling", ["true", "false"]), ("type", ["custom", "builtin"])];
    for (key, allowed) in closed {
        for value in filters.get(key).into_iter().flatten() {
            ensure!(
                allowed.contains(&value.as_str()),
                "bad filter {key}={value}: it is {} or {}",
                allowed[0],
                allowed[1]
            );
        }
    }
    Ok(filters)
}

fn matches(row: &Row, filters: &Filters) -> bool {
    let fits = |key: &str, value: &str| match key {
        "name" => row.name.contains(value),
        "id" => row.id.starts_with(value),
        "driver" => row.driver == value,
        "scope" => row.scope == value,
        "type" => BUILTIN.contains(&row.name.as_str()) == (value == "builtin"),
        _ => is_dangling(row) == (value == "true"),
    };
    filter::pass(filters, |text| filter::has_label(&row.labels, text), fits)
}

/// Whether `prune` would remove it.
fn is_dangling(row: &Row) -> bool {
    row.containers.is_empty() && row.damaged.is_empty() && !BUILTIN.contains(&row.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::gorae::{NetworkMember, NetworkSettings, SubnetSettings};

    fn rows() -> Vec<Row> {
        let network = |id: &str, name: &str, driver: &str, label: &str, members: usize| {
            let subnet = |subnet: &str| SubnetSettings { subnet: subnet.into(), ..Default::default() };
            let settings = NetworkSettings {
                driver: driver.into(),
                subnets: vec![subnet("10.1.0.0/24"), subnet("fd00::/64")],
                labels: [("team".to_owned(), label.to_owned())].into(),
                ..Default::default()
            };
            let member = NetworkMember { pod_name: "web".into(), ..Default::default() };
            row(Network {
                id: id.into(),
                name: name.into(),
                settings: Some(settings),
                members: vec![member; members],
                ..Default::default()
            })
        };
        vec![
            network("12ab", "back", "bridge", "x", 1),
            network("bridge", "bridge", "bridge", "", 0),
            network("12cd", "front", "bridge", "y", 0),
            network("host", "host", "host", "", 2),
        ]
    }

    fn passing(texts: &[&str]) -> Result<String> {
        let filters = checked(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())?;
        let rows = rows();
        let names: Vec<_> = rows.iter().filter(|row| matches(row, &filters)).map(|row| row.name.as_str()).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn values_of_one_key_widen_and_keys_narrow() {
        for (filters, names) in [
            (&[][..], "back bridge front host"),
            (&["name=r"], "bridge front"),
            (&["name=back", "name=ont"], "back front"),
            (&["id=12"], "back front"),
            (&["driver=host"], "host"),
            (&["scope=swarm"], ""),
            (&["type=custom"], "back front"),
            (&["type=builtin", "driver=bridge"], "bridge"),
            (&["dangling=true"], "front"),
            (&["label=team=x"], "back"),
            (&["label=team", "type=custom"], "back front"),
            (&["label=team", "label=team=y"], "front"),
        ] {
            assert_eq!(passing(filters).expect("valid"), names, "{filters:?}");
        }
        for text in ["colour=red", "type=all", "dangling=maybe", "name"] {
            assert!(passing(&[text]).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_damaged_network_is_not_one_that_prune_would_remove() {
        let lost = row(Network { id: "12ab".into(), damaged: "move it away".into(), ..Default::default() });
        assert!(!is_dangling(&lost));
        assert_eq!(serde_json::to_value(&lost).expect("json")["damaged"], "move it away");
        assert!(serde_json::to_value(&rows()[0]).expect("json").get("damaged").is_none());
    }

    #[test]
    fn programs_get_all_names_and_subnets() {
        let json = serde_json::to_value(&rows()[0]).expect("json");
        assert_eq!(json["subnets"], serde_json::json!(["10.1.0.0/24", "fd00::/64"]));
        assert_eq!((&json["containers"][0], &json["createdAt"]), (&"web".into(), &"".into()));
    }
}
