// SPDX-License-Identifier: Apache-2.0
//! `gorae stats`.

use crate::client::Client;
use crate::context::Context;
use crate::output::table::{short, table};
use crate::output::{self, Format};
use crate::resource_usage::{Reading, Usage, binary, usage};
use crate::{labels, lookup};
use anyhow::Result;
use gorae_proto::cri;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

/// Pause between two readings: processor use is the average in between.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same pause before the first table.
const SHORT_INTERVAL: Duration = Duration::from_millis(300);

/// The arguments of `stats`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the table once instead of refreshing it
    #[arg(long)]
    no_stream: bool,
    /// Names or ids of containers; by default all running ones
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Prints a table, and refreshes it every second while standard output is a terminal.
///
/// # Errors
/// When a container does not exist, the daemon refuses a reading, or the table cannot be printed.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let mut wanted = Vec::new();
    for name in &args.containers {
        wanted.push(lookup::container(&client, name).await?.id);
    }
    let endless = !args.no_stream && context.output.format == Format::Table && std::io::stdout().is_terminal();
    let mut before = read(&client, &wanted).await?;
    tokio::time::sleep(SHORT_INTERVAL).await;
    if endless {
        output::print("\x1b[2J")?;
    }
    loop {
        let now = read(&client, &wanted).await?;
        let mut rows: Vec<Usage> = now.iter().map(|(id, reading)| usage(id, reading, before.get(id))).collect();
        rows.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        if endless {
            // Cursor home, then clear only what a longer table left: clearing the whole screen would flicker.
            output::print(&format!("\x1b[H{}\x1b[J", lines(&rows).replace('\n', "\x1b[K\n")))?;
        } else {
            context.output.list(&rows, |row| short(&row.id), lines)?;
            return Ok(0);
        }
        before = now;
        tokio::time::sleep(INTERVAL).await;
    }
}

fn lines(rows: &[Usage]) -> String {
    let cells = |row: &Usage| {
        let limit = row.memory_limit_bytes.map_or("-".to_owned(), binary);
        let share = row.memory_percent.map_or("-".to_owned(), |percent| format!("{percent:.1}%"));
        let network = match (row.received_bytes, row.sent_bytes) {
            (Some(received), Some(sent)) => format!("{} / {}", binary(received), binary(sent)),
            _ => "-".to_owned(),
        };
        let processes = row.processes.map_or("-".to_owned(), |n| n.to_string());
        let cpu = format!("{:.2}%", row.cpu_percent);
        [
            short(&row.id),
            row.name.clone(),
            cpu,
            format!("{} / {limit}", binary(row.memory_bytes)),
            share,
            network,
            processes,
        ]
    };
    table(["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "PIDS"], rows.iter().map(cells))
}

/// Reads the counters of every running container that is wanted, by container id.
async fn read(client: &Client, wanted: &[String]) -> Result<HashMap<String, Reading>> {
    let containers = client.containers().await?;
    let names: HashMap<_, _> =
        containers.iter().map(|c| (c.id.as_str(), (labels::display_name(c), c.pod_sandbox_id.as_str()))).collect();
    let stats = client.runtime().list_container_stats(cri::ListContainerStatsRequest::default()).await;
    let stats = stats.map_err(crate::failure::refused(|| "read the usage of containers"))?.into_inner().stats;
    let pods = pod_stats(client).await;
    let mut readings = HashMap::new();
    for stats in stats {
        let id = stats.attributes.as_ref().map(|attributes| attributes.id.clone()).unwrap_or_default();
        let (name, pod) = names.get(id.as_str()).cloned().unwrap_or_default();
        if stats.cpu.is_some() && (wanted.is_empty() || wanted.contains(&id)) {
            readings.insert(id, Reading { name, stats, pod: pods.get(pod).cloned() });
        }
    }
    Ok(readings)
}

/// Network traffic and processes are counted per pod. If the daemon does not count them, these columns stay empty.
async fn pod_stats(client: &Client) -> HashMap<String, cri::LinuxPodSandboxStats> {
    let answer = client.runtime().list_pod_sandbox_stats(cri::ListPodSandboxStatsRequest::default()).await;
    let stats = answer.map(|answer| answer.into_inner().stats).unwrap_or_default();
    stats.into_iter().filter_map(|stats| Some((stats.attributes?.id, stats.linux?))).collect()
}
