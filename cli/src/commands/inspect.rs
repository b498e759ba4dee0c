// SPDX-License-Identifier: Apache-2.0
//! `gorae inspect`.

use crate::client::{Client, Detail};
use crate::context::Context;
use crate::networks::{self, docker_form, memberships};
use crate::output::json;
use crate::{lookup, pulling, states};
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri;
use serde_json::{Value, json};

/// The arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look only for this kind of object; the default is containers first, then pods, images and networks
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<Kind>,
    /// Names or ids of containers, pods, images or networks
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Container,
    Pod,
    Image,
    Network,
}

/// Prints a JSON list with one object for each name. There is no table for this, so `--format` changes nothing.
///
/// # Errors
/// When a name matches no object or is ambiguous, or the daemon refuses. Then nothing is printed.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let mut found = Vec::new();
    for name in &args.names {
        found.push(look(&client, name, args.kind).await?);
    }
    context.output.json(&found)?;
    Ok(0)
}

async fn look(client: &Client, name: &str, kind: Option<Kind>) -> Result<Value> {
    match kind {
        Some(Kind::Container) => return container(client, &lookup::container(client, name).await?).await,
        Some(Kind::Network) => {
            return network(client, name).await?.with_context(|| format!("no such network: {name:?}"));
        }
        Some(Kind::Pod) => return pod(client, &lookup::pod(client, name).await?).await,
        Some(Kind::Image) => {}
        None => {
            if let Some(found) = lookup::container_if_any(client, name).await? {
                return container(client, &found).await;
            }
            if let Some(id) = lookup::pod_if_any(client, name).await? {
                return pod(client, &id).await;
            }
        }
    }
    if let Some(answer) = client.image(name, Detail::Verbose).await? {
        return image(&answer);
    }
    ensure!(kind.is_none(), "no such image: {:?}", pulling::shown(name));
    let found = network(client, name).await?;
    found.with_context(|| format!("no such container, pod, image or network: {:?}", pulling::shown(name)))
}

async fn container(client: &Client, found: &cri::Container) -> Result<Value> {
    let answer = client.container_status(&found.id, Detail::Verbose).await?;
    let status = answer.status.unwrap_or_default();
    let mut value = json::message(&status)?;
    value["state"] = states::of_container(status.state()).into();
    let value = json!({ "kind": "container", "status": value, "info": json::info(&answer.info) });
    with_networks(client, &found.pod_sandbox_id, value).await
}

/// Adds the networks that the pod is in, also in the form in which scripts read them from Docker. Daemons without networks
/// have nothing to add.
async fn with_networks(client: &Client, pod: &str, mut value: Value) -> Result<Value> {
    if let Some(all) = memberships::all(client).await? {
        value["networks"] = memberships::shown(&all, pod);
        value["NetworkSettings"] = docker_form::settings(&all, pod);
    }
    Ok(value)
}

/// A network in Docker's form, as `gorae network inspect` shows it.
async fn network(client: &Client, name: &str) -> Result<Option<Value>> {
    let Some(found) = networks::find(client, name).await? else { return Ok(None) };
    Ok(Some(docker_form::network(&found, &client.containers().await?)))
}

async fn pod(client: &Client, id: &str) -> Result<Value> {
    let answer = client.pod_status(id, Detail::Verbose).await?;
    let status = answer.status.unwrap_or_default();
    let mut value = json::message(&status)?;
    value["state"] = states::of_pod(status.state()).into();
    with_networks(client, id, json!({ "kind": "pod", "status": value, "info": json::info(&answer.info) })).await
}

fn image(answer: &cri::ImageStatusResponse) -> Result<Value> {
    Ok(json!({ "kind": "image", "status": json::message(&answer.image)?, "info": json::info(&answer.info) }))
}
