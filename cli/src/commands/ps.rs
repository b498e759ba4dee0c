// SPDX-License-Identifier: Apache-2.0
//! `gorae ps`.

use crate::batch;
use crate::client::{Client, Detail};
use crate::clock::now;
use crate::context::Context;
use crate::networks::memberships;
use crate::output::Format;
use crate::output::table::{short, table};
use crate::parse::filter::{self, Filters, filters};
use crate::parse::{span, timestamp};
use crate::{labels, states};
use anyhow::Result;
use gorae_proto::cri;
use gorae_proto::cri::ContainerState;
use gorae_proto::gorae::Network;
use serde::Serialize;

/// The keys of `--filter`: those of Docker's that scripts use most.
const KEYS: &[&str] = &["id", "label", "name", "network", "status"];

/// The arguments of `ps`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show all containers, not only running ones
    #[arg(short, long)]
    all: bool,
    /// Show ids and commands in full
    #[arg(long)]
    no_trunc: bool,
    /// Show only some: name=TEXT, id=TEXT, label=KEY[=VALUE], network=NAME, or status=created|running|exited|unknown, which
    /// implies -a
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
}

/// One container. The skipped fields are for the table only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    image: String,
    command: String,
    state: &'static str,
    #[serde(skip)]
    status: String,
    created_at: String,
    started_at: String,
    finished_at: String,
    exit_code: Option<i32>,
    reason: String,
    ports: String,
    pod_id: String,
    /// Names of the networks that it is in; only for programs.
    networks: Vec<String>,
    labels: std::collections::HashMap<String, String>,
    #[serde(skip)]
    age: String,
}

/// Lists the containers, the newest first.
///
/// # Errors
/// When a filter has another form, the daemon refuses the list or the status of a container, or the table cannot be
/// printed. A container that is removed meanwhile is left out.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let filters = filters(&args.filter, KEYS)?;
    let client = context.connect().await?;
    let mut containers = client.containers().await?;
    let all = args.all || filters.contains_key("status");
    let networks = networks(&client, &filters, context.output.format).await?;
    containers.retain(|c| (all || c.state() == ContainerState::ContainerRunning) && matches(c, &networks, &filters));
    containers.sort_by_key(|c| std::cmp::Reverse(c.created_at));
    let rows = batch::look_at_all(containers, |container| look(&client, &networks, container)).await?;
    let id = |row: &Row| if args.no_trunc { row.id.clone() } else { short(&row.id) };
    context.output.list(&rows, id, |rows| {
        let cells = |row: &Row| {
            let command = if args.no_trunc { row.command.clone() } else { cut(&row.command) };
            let image = if row.image.starts_with("sha256:") { short(&row.image) } else { row.image.clone() };
            [id(row), image, command, row.age.clone(), row.status.clone(), row.ports.clone(), row.name.clone()]
        };
        table(["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"], rows.iter().map(cells))
    })?;
    Ok(0)
}

/// The networks, if they are shown or asked for.
async fn networks(client: &Client, filters: &Filters, format: Format) -> Result<Vec<Network>> {
    if format == Format::Table && !filters.contains_key("network") {
        return Ok(Vec::new());
    }
    Ok(memberships::all(client).await?.unwrap_or_default())
}

fn matches(container: &cri::Container, networks: &[Network], filters: &Filters) -> bool {
    let is_in = |text: &str| {
        let mut own = memberships::of_pod(networks, &container.pod_sandbox_id);
        own.any(|network| network.name == text || (!text.is_empty() && network.id.starts_with(text)))
    };
    let fits = |key: &str, value: &str| match key {
        "network" => is_in(value),
        "name" => labels::display_name(container).contains(value),
        "id" => container.id.starts_with(value),
        _ => states::of_container(container.state()) == value,
    };
    filter::pass(filters, |text| filter::has_label(&container.labels, text), fits)
}

async fn look(client: &Client, networks: &[Network], container: cri::Container) -> Result<Row> {
    let status = client.container_status(&container.id, Detail::Plain).await?.status.unwrap_or_default();
    let names = memberships::of_pod(networks, &container.pod_sandbox_id).map(|network| network.name.clone()).collect();
    Ok(Row { networks: names, ..row(container, &status, now()) })
}

fn row(container: cri::Container, status: &cri::ContainerStatus, now: i64) -> Row {
    let annotation = |key: &str| container.annotations.get(key).cloned().unwrap_or_default();
    let exited = status.state() == ContainerState::ContainerExited;
    let asked =
        container.image.as_ref().map(|image| image.user_specified_image.clone()).filter(|name| !name.is_empty());
    let image = asked.or_else(|| status.image.as_ref().map(|image| image.image.clone())).unwrap_or_default();
    Row {
        name: labels::display_name(&container),
        image: if image.is_empty() { container.image_id.clone() } else { image },
        command: annotation(labels::COMMAND),
        state: states::of_container(status.state()),
        status: status_words(status, now),
        created_at: timestamp::show(container.created_at),
        started_at: timestamp::show(status.started_at),
        finished_at: timestamp::show(status.finished_at),
        exit_code: exited.then_some(status.exit_code),
        reason: status.reason.clone(),
        ports: if exited { String::new() } else { annotation(labels::PORTS) },
        age: format!("{} ago", span::words(now - container.created_at)),
        id: container.id,
        pod_id: container.pod_sandbox_id,
        networks: Vec::new(),
        labels: container.labels,
    }
}

fn status_words(status: &cri::ContainerStatus, now: i64) -> String {
    match status.state() {
        ContainerState::ContainerCreated => "Created".into(),
        ContainerState::ContainerRunning => format!("Up {}", span::words(now - status.started_at)),
        ContainerState::ContainerUnknown => "Unknown".into(),
        ContainerState::ContainerExited => {
            let why = match status.reason.as_str() {
                "" | "Completed" | "Error" => String::new(),
                reason => format!(" {reason}"),
            };
            format!("Exited ({}){why} {} ago", status.exit_code, span::words(now - status.finished_at))
        }
    }
}

/// At most thirty characters.
fn cut(text: &str) -> String {
    match text.char_indices().nth(30) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::gorae::NetworkMember;

    #[test]
    fn the_status_says_how_long_ago_and_why() {
        let status = |state: ContainerState, reason: &str| cri::ContainerStatus {
            state: state.into(),
            exit_code: 137,
            reason: reason.into(),
            started_at: 1_000_000_000,
            finished_at: 2_000_000_000,
            ..Default::default()
        };
        let rows = [
            (ContainerState::ContainerCreated, "", "Created"),
            (ContainerState::ContainerRunning, "", "Up 9 seconds"),
            (ContainerState::ContainerExited, "Error", "Exited (137) 8 seconds ago"),
            (ContainerState::ContainerExited, "OOMKilled", "Exited (137) OOMKilled 8 seconds ago"),
        ];
        for (state, reason, words) in rows {
            assert_eq!(status_words(&status(state, reason), 10_000_000_000), words);
        }
    }

    #[test]
    fn a_filter_is_about_name_id_label_network_or_state() {
        let container = cri::Container {
            id: "12ab".into(),
            state: ContainerState::ContainerExited.into(),
            labels: labels::for_container("web_1"),
            pod_sandbox_id: "p".into(),
            ..Default::default()
        };
        let network = |id: &str, name: &str, pod: &str| {
            let member = NetworkMember { pod_id: pod.into(), ..Default::default() };
            Network { id: id.into(), name: name.into(), members: vec![member], ..Default::default() }
        };
        let networks = [network("77ab", "back", "p"), network("88ab", "front", "q")];
        for (text, passes) in [
            ("name=web", true),
            ("name=db", false),
            ("id=12", true),
            ("id=ab", false),
            ("label=dev.gorae.name=web_1", true),
            ("label=team", false),
            ("network=back", true),
            ("network=77", true),
            ("network=front", false),
            ("network=", false),
            ("status=exited", true),
            ("status=running", false),
        ] {
            let filters = filters(&[text.to_owned()], KEYS).expect(text);
            assert_eq!(matches(&container, &networks, &filters), passes, "{text}");
        }
        assert!(filters(&["ancestor=busybox".to_owned()], KEYS).is_err());
    }

    #[test]
    fn long_commands_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(31)), "é".repeat(30) + "…");
        assert_eq!(cut("short"), "short");
    }
}
