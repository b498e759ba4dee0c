// SPDX-License-Identifier: Apache-2.0
//! `gorae inspect`.

use crate::client::{Client, Detail};
use crate::context::Context;
use crate::lookup;
use crate::output::json;
use crate::{pulling, states};
use anyhow::{Result, bail};
use gorae_proto::cri;
use serde_json::{Value, json};

/// The arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look only for this kind of object; the default is containers first, then pods, then images
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<Kind>,
    /// Names or ids of containers, pods or images
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Container,
    Pod,
    Image,
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
        Some(Kind::Container) => return container(client, &lookup::container(client, name).await?.id).await,
        Some(Kind::Pod) => return pod(client, &lookup::pod(client, name).await?).await,
        Some(Kind::Image) => {}
        None => {
            if let Some(found) = lookup::container_if_any(client, name).await? {
                return container(client, &found.id).await;
            }
            if let Some(id) = lookup::pod_if_any(client, name).await? {
                return pod(client, &id).await;
            }
        }
    }
    match client.image(name, Detail::Verbose).await? {
        Some(answer) => image(&answer),
        None => bail!("no such container, pod or image: {:?}", pulling::shown(name)),
    }
}

async fn container(client: &Client, id: &str) -> Result<Value> {
    let answer = client.container_status(id, Detail::Verbose).await?;
    let status = answer.status.unwrap_or_default();
    let mut value = json::message(&status)?;
    value["state"] = states::of_container(status.state()).into();
    Ok(json!({ "kind": "container", "status": value, "info": json::info(&answer.info) }))
}

async fn pod(client: &Client, id: &str) -> Result<Value> {
    let answer = client.pod_status(id, Detail::Verbose).await?;
    let status = answer.status.unwrap_or_default();
    let mut value = json::message(&status)?;
    value["state"] = states::of_pod(status.state()).into();
    Ok(json!({ "kind": "pod", "status": value, "info": json::info(&answer.info) }))
}

fn image(answer: &cri::ImageStatusResponse) -> Result<Value> {
    Ok(json!({ "kind": "image", "status": json::message(&answer.image)?, "info": json::info(&answer.info) }))
}
