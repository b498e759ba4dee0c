// SPDX-License-Identifier: Apache-2.0
//! From a spec to a running container: image, pod, container, start, and the foreground around it.
//!
//! A step that fails undoes the ones before it, except that a container whose start failed stays to be looked at
//! (unless `--rm`), as with Docker.

use crate::client::Client;
use crate::commands::run::Pull;
use crate::commands::{Context, collect};
use crate::failure::{refused, start_code, with_code};
use crate::run_spec::RunSpec;
use crate::{foreground, labels, log_dir, names, output, port_holder, pulling, removal};
use anyhow::{Context as _, Result, bail, ensure};
use gorae_proto::cri;
use gorae_proto::cri::ContainerState;
use serde_json::{Value, json};

/// What this terminal does while the container runs.
#[derive(Debug, Clone, Copy)]
pub struct Foreground {
    /// Standard input goes to the container.
    pub stdin: bool,
    /// The container's terminal is this one.
    pub tty: bool,
}

/// Fills in what only the daemon knows: the image's id and command, a free name, where logs go.
///
/// - Errors: the name is taken; the image cannot be had.
pub async fn resolve(client: &Client, context: &Context, spec: &mut RunSpec, pull: Pull, named: bool) -> Result<()> {
    let containers = client.containers().await?;
    let taken = |name: &str| containers.iter().find(|c| labels::name(&c.labels) == Some(name));
    if named {
        if let Some(other) = taken(&spec.name) {
            bail!("the name {:?} is used by container {:.12}: remove it, or choose another name", spec.name, other.id);
        }
    } else {
        spec.name = names::fresh(|name| taken(name).is_some())?;
    }
    let image = image(client, context, &spec.image, pull).await?;
    spec.shown_command = shown_command(spec, &image.info);
    spec.image_id = image.image.context("the daemon gave no image")?.id;
    spec.uid = names::uid()?;
    spec.logs = log_dir::find(client).await?;
    Ok(())
}

async fn image(client: &Client, context: &Context, name: &str, pull: Pull) -> Result<cri::ImageStatusResponse> {
    if pull != Pull::Always {
        if let Some(found) = client.image(name, true).await? {
            return Ok(found);
        }
        ensure!(pull == Pull::Missing, "image {name:?} is not here, and --pull never forbids to fetch it");
    }
    let id = pulling::pull(client, context, name).await?;
    client.image(&id, true).await?.with_context(|| format!("image {name:?} was pulled and is gone again"))
}

/// What will run, as `ps` shows it.
fn shown_command(spec: &RunSpec, info: &std::collections::HashMap<String, String>) -> String {
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

/// Makes the pod and the container, starts it, and stays with it when `foreground` says so.
///
/// Returns the program's exit code: the container's in the foreground, 0 in the background.
pub async fn run(
    client: &Client,
    context: &Context,
    spec: &RunSpec,
    foreground: Option<Foreground>,
    rm: bool,
) -> Result<u8> {
    let mut interrupts = foreground::Interrupts::listen()?;
    let container = create(client, spec).await?;
    let id = container.id.clone();
    let ended = match (start(client, spec, &id).await, foreground) {
        (Ok(()), Some(how)) => foreground::stay(client, &id, how, &mut interrupts).await,
        (Ok(()), None) => {
            if rm {
                collect::spawn(context, &id)?;
            }
            let told = json!({ "id": id, "name": spec.name, "podId": container.pod_sandbox_id });
            context.output.one(&told, || format!("{id}\n"))?;
            return Ok(0);
        }
        (Err(error), _) => Err(error),
    };
    if rm && let Err(error) = remove(client, context, &container).await {
        output::remark(&format!("gorae: {error:#}"));
    }
    ended
}

/// What `--rm` asked for: now, or when only the connection to the container ended, at its end.
async fn remove(client: &Client, context: &Context, container: &cri::Container) -> Result<()> {
    let status = client.container_status(&container.id, false).await.map(|answer| answer.status.unwrap_or_default());
    match status.map(|status| status.state()) {
        Ok(ContainerState::ContainerRunning) => collect::spawn(context, &container.id),
        _ => removal::remove(client, container).await,
    }
}

async fn create(client: &Client, spec: &RunSpec) -> Result<cri::Container> {
    let config = spec.pod();
    let logs = config.log_directory.clone();
    let created = create_in_new_pod(client, spec, config).await;
    if created.is_err() {
        // The daemon may have made it; empty it is of no use.
        drop(std::fs::remove_dir(logs));
    }
    created
}

async fn create_in_new_pod(client: &Client, spec: &RunSpec, config: cri::PodSandboxConfig) -> Result<cri::Container> {
    let pod = run_pod(client, &spec.name, config.clone()).await?;
    let created = match create_container(client, &pod, spec.container(), config).await {
        Ok(id) => the_only_one(client, &id, &spec.name).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(container) => Ok(container),
        Err(error) => match removal::remove_pod(client, &pod).await {
            Ok(()) => Err(error),
            Err(undo) => Err(error.context(format!("removing its pod failed too ({undo:#})"))),
        },
    }
}

/// Makes a pod for the container of this name and returns its id.
pub async fn run_pod(client: &Client, name: &str, config: cri::PodSandboxConfig) -> Result<String> {
    let request = cri::RunPodSandboxRequest { config: Some(config), ..Default::default() };
    let answer = client.runtime().run_pod_sandbox(request).await;
    match answer.map_err(refused(|| format!("make the pod of {name}"))) {
        Ok(answer) => Ok(answer.into_inner().pod_sandbox_id),
        Err(error) => Err(port_holder::name_the_holder(client, error).await),
    }
}

/// The container with this id, if no older one has its name: of two runs at the same moment the first one wins.
async fn the_only_one(client: &Client, id: &str, name: &str) -> Result<cri::Container> {
    let containers = client.containers().await?;
    let mine = containers.iter().find(|c| c.id == id).context("the new container is gone again")?;
    let older = |c: &&cri::Container| {
        labels::name(&c.labels) == Some(name) && (c.created_at, &c.id) < (mine.created_at, &mine.id)
    };
    match containers.iter().find(older) {
        Some(other) => bail!("the name {name:?} was taken by container {:.12} in this moment", other.id),
        None => Ok(mine.clone()),
    }
}

/// Creates a container in a pod and returns its id.
pub async fn create_container(
    client: &Client,
    pod: &str,
    config: cri::ContainerConfig,
    pod_config: cri::PodSandboxConfig,
) -> Result<String> {
    let name = config.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
    let (config, sandbox_config) = (Some(config), Some(pod_config));
    let request = cri::CreateContainerRequest { pod_sandbox_id: pod.to_owned(), config, sandbox_config };
    let answer = client.runtime().create_container(request).await;
    Ok(answer.map_err(refused(|| format!("create container {name}")))?.into_inner().container_id)
}

async fn start(client: &Client, spec: &RunSpec, id: &str) -> Result<()> {
    start_container(client, &spec.name, id).await.map_err(|error| with_code(start_code(&error))(error))
}

/// Starts a created container.
pub async fn start_container(client: &Client, name: &str, id: &str) -> Result<()> {
    let request = cri::StartContainerRequest { container_id: id.to_owned() };
    client.runtime().start_container(request).await.map_err(refused(|| format!("start container {name}")))?;
    Ok(())
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
