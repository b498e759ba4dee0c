// SPDX-License-Identifier: Apache-2.0
//! The requests of `run` before it creates anything: whether the name is free, which image is meant, where logs go.

use crate::client::{Client, Detail};
use crate::context::Context;
use crate::parse::network::Network;
use crate::pulling::{self, Pull};
use crate::run_spec::{Joined, RunSpec};
use crate::{labels, log_dir, lookup, names};
use anyhow::{Context as _, Result, bail, ensure};
use gorae_proto::cri;
use serde_json::Value;
use std::collections::HashMap;

/// Fills in what only the daemon knows: a free name, the image's id and command, and the log directory. Pulls the image
/// if `pull` requires it. `named` is true if the user chose the name.
///
/// # Errors
/// When the name is taken, the container whose network is to be shared does not exist, or the image is not on this machine and cannot be pulled.
pub async fn resolve(client: &Client, context: &Context, spec: &mut RunSpec, pull: Pull, named: bool) -> Result<()> {
    let containers = client.containers().await?;
    let taken = |name: &str| containers.iter().find(|c| labels::name(&c.labels) == Some(name));
    if named {
        if let Some(other) = taken(&spec.name) {
            bail!(
                "the name {:?} is used by container {:.12}: remove that container, or choose another name",
                spec.name,
                other.id
            );
        }
    } else {
        spec.name = names::fresh(|name| taken(name).is_some())?;
    }
    if let Network::Container(other) = &spec.network {
        spec.joined = Some(joined(client, other).await?);
    }
    let image = image(client, context, &spec.image, pull).await?;
    spec.shown_command = shown_command(spec, &image.info);
    spec.image_id = image.image.context("the daemon's response has no image")?.id;
    spec.uid = names::uid()?;
    spec.logs = log_dir::find(client).await?;
    Ok(())
}

/// The container whose network is to be shared.
async fn joined(client: &Client, text: &str) -> Result<Joined> {
    let container =
        lookup::container(client, text).await.context("find the container whose network is to be shared")?;
    let name = labels::name(&container.labels).unwrap_or(&container.id).to_owned();
    Ok(Joined { pod: container.pod_sandbox_id, container: name })
}

async fn image(client: &Client, context: &Context, name: &str, pull: Pull) -> Result<cri::ImageStatusResponse> {
    if pull != Pull::Always {
        if let Some(found) = client.image(name, Detail::Verbose).await? {
            return Ok(found);
        }
        ensure!(pull == Pull::Missing, "image {name:?} is not on this machine, and --pull never forbids pulling it");
    }
    let id = pulling::pull(client, context, name).await?;
    client
        .image(&id, Detail::Verbose)
        .await?
        .with_context(|| format!("image {name:?} disappeared right after it was pulled"))
}

/// The command that will run, as `ps` shows it: at most 200 characters.
fn shown_command(spec: &RunSpec, info: &HashMap<String, String>) -> String {
    let info: Option<Value> = info.get("info").and_then(|text| serde_json::from_str(text).ok());
    let of_image = |key: &str| -> Vec<String> {
        let list = info.as_ref().and_then(|info| info["imageSpec"]["config"][key].as_array());
        list.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let words: Vec<String> = match spec.entrypoint.as_ref().filter(|e| !e.is_empty()) {
        Some(entrypoint) => std::iter::once(entrypoint.clone()).chain(spec.args.clone()).collect(),
        None => {
            let args = if spec.args.is_empty() { of_image("Cmd") } else { spec.args.clone() };
            of_image("Entrypoint").into_iter().chain(args).collect()
        }
    };
    words.join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_command_is_what_will_run() {
        let info =
            [("info".to_owned(), r#"{"imageSpec":{"config":{"Entrypoint":["/entry"],"Cmd":["-x","y"]}}}"#.to_owned())]
                .into();
        let spec = |entrypoint: Option<&str>, args: &[&str]| RunSpec {
            entrypoint: entrypoint.map(str::to_owned),
            args: args.iter().map(|&a| a.to_owned()).collect(),
            ..RunSpec::default()
        };
        let rows = [
            (spec(None, &[]), "/entry -x y"),
            (spec(None, &["z"]), "/entry z"),
            (spec(Some("sh"), &["-c", "ls"]), "sh -c ls"),
            (spec(Some("sh"), &[]), "sh"),
        ];
        for (spec, shown) in rows {
            assert_eq!(shown_command(&spec, &info), shown);
        }
        assert_eq!(shown_command(&spec(None, &["ls"]), &Default::default()), "ls");
    }
}
