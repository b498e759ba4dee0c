// SPDX-License-Identifier: Apache-2.0
//! `gorae pods`.

use crate::batch;
use crate::client::{Client, Detail};
use crate::clock::now;
use crate::context::Context;
use crate::output::table::{short, table};
use crate::parse::{span, timestamp};
use crate::states;
use anyhow::Result;
use gorae_proto::cri;
use gorae_proto::cri::PodSandboxState;
use serde::Serialize;

/// The arguments of `pods`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show all pods, not only ready ones
    #[arg(short, long)]
    all: bool,
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
}

/// One pod. The skipped field is for the table only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    namespace: String,
    uid: String,
    attempt: u32,
    state: &'static str,
    created_at: String,
    addresses: Vec<String>,
    labels: std::collections::HashMap<String, String>,
    #[serde(skip)]
    age: String,
}

/// Lists the pods, the newest first.
///
/// # Errors
/// When the daemon refuses the list or the status of a pod, or the table cannot be printed. A pod that is removed
/// meanwhile is left out.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let mut pods = client.pods().await?;
    pods.retain(|pod| args.all || pod.state() == PodSandboxState::SandboxReady);
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.created_at));
    let rows = batch::look_at_all(pods, |pod| look(&client, pod)).await?;
    let id = |row: &Row| if args.no_trunc { row.id.clone() } else { short(&row.id) };
    context.output.list(&rows, id, |rows| {
        let cells = |row: &Row| {
            let (addresses, attempt) = (row.addresses.join(", "), row.attempt.to_string());
            [
                id(row),
                row.age.clone(),
                row.state.to_owned(),
                row.namespace.clone(),
                row.name.clone(),
                attempt,
                addresses,
            ]
        };
        table(["POD ID", "CREATED", "STATE", "NAMESPACE", "NAME", "ATTEMPT", "ADDRESS"], rows.iter().map(cells))
    })?;
    Ok(0)
}

async fn look(client: &Client, pod: cri::PodSandbox) -> Result<Row> {
    let status = client.pod_status(&pod.id, Detail::Plain).await?.status.unwrap_or_default();
    let metadata = pod.metadata.unwrap_or_default();
    let (state, network) = (status.state(), status.network.unwrap_or_default());
    let all = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|ip| ip.ip));
    Ok(Row {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        attempt: metadata.attempt,
        state: states::of_pod(state),
        created_at: timestamp::show(pod.created_at),
        addresses: all.filter(|ip| !ip.is_empty()).collect(),
        age: format!("{} ago", span::words(now() - pod.created_at)),
        id: pod.id,
        labels: pod.labels,
    })
}
