// SPDX-License-Identifier: Apache-2.0
//! `gorae start`: an exited container runs again with its files, its name and its log.
//!
//! The CRI cannot move a container from EXITED to RUNNING. So a new container, the next attempt of the same name, takes
//! over the files of the old one. It goes into the old pod when that is still ready and has its network, else into a new
//! attempt of the pod, with the networks that the old one was in last. Then the old container, and the old pod if it was
//! replaced, are removed.

use crate::client::{Client, Detail};
use crate::context::Context;
use crate::failure::refused;
use crate::networks::next_attempt;
use crate::{batch, creation, labels, lookup, output, removal, stored_config};
use anyhow::{Context as _, Error, Result, bail, ensure};
use gorae_proto::cri::{ContainerState, PodSandboxState};
use gorae_proto::{CONTINUE_ANNOTATION, cri};

/// The arguments of `start`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Not supported: use `gorae attach`
    #[arg(short, long, hide = true)]
    attach: bool,
    /// Not supported: use `gorae attach`
    #[arg(short, long, hide = true)]
    interactive: bool,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Starts the containers, one after the other.
///
/// # Errors
/// When `-a` or `-i` is given, the daemon cannot be reached, or the names cannot be printed. A container that cannot be
/// started is reported by the exit code.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    ensure!(
        !args.attach && !args.interactive,
        "-a and -i are not supported: write `gorae start NAME`, then `gorae attach NAME`"
    );
    let client = context.connect().await?;
    batch::act_on_each(&args.containers, &context.output, 1, |name| start(&client, name)).await
}

async fn start(client: &Client, name: &str) -> Result<()> {
    let container = lookup::container(client, name).await?;
    match container.state() {
        ContainerState::ContainerRunning => Ok(()),
        ContainerState::ContainerCreated => first(client, name, &container).await,
        ContainerState::ContainerUnknown => {
            bail!("container {name} is in an unknown state: remove it with `gorae rm -f {name}`")
        }
        ContainerState::ContainerExited => again(client, name, &container).await,
    }
}

/// Starts a container that was never started, or one whose start failed before: see [`not_started`].
async fn first(client: &Client, name: &str, container: &cri::Container) -> Result<()> {
    creation::start_container(client, name, &container.id).await?;
    let Some(old) = container.annotations.get(CONTINUE_ANNOTATION) else { return Ok(()) };
    let ours = |c: &cri::Container| c.id == *old && labels::name(&c.labels).is_some();
    if let Some(old) = client.containers().await?.iter().find(|c| ours(c)) {
        remark_failure(remove_old(client, old, old.pod_sandbox_id != container.pod_sandbox_id).await);
    }
    Ok(())
}

async fn again(client: &Client, name: &str, old: &cri::Container) -> Result<()> {
    ensure!(
        labels::name(&old.labels).is_some(),
        "container {name} was not made by `gorae run`: only the client that made it can start it again"
    );
    let config = next_container(stored_config::container(client, &old.id).await?, &old.id);
    let mut pod_config = stored_config::pod(client, &old.pod_sandbox_id).await?;
    let is_usable = ready(client, &old.pod_sandbox_id).await?
        && !next_attempt::lost_network(client, name, &old.pod_sandbox_id, &config).await?;
    let pod = match is_usable {
        true => old.pod_sandbox_id.clone(),
        false => {
            next_pod(&mut pod_config);
            let network = next_attempt::network(client, name, &old.pod_sandbox_id, &config).await?;
            creation::run_pod(client, name, pod_config.clone(), network).await?
        }
    };
    let fresh_pod = pod != old.pod_sandbox_id;
    let new = match creation::create_container(client, &pod, config, pod_config).await {
        Ok(new) => new,
        Err(error) => {
            if fresh_pod && let Err(undo) = removal::remove_pod(client, &pod).await {
                return Err(error.context(format!("its new pod could not be removed either ({undo:#})")));
            }
            return Err(error);
        }
    };
    if let Err(error) = creation::start_container(client, name, &new).await {
        return Err(not_started(client, old, &new, fresh_pod, error).await);
    }
    remark_failure(remove_old(client, old, fresh_pod).await);
    Ok(())
}

/// The error of a start that failed. If the new container has exited, it has the files, and the old one is removed. Else
/// either of the two may have them, so both are kept.
async fn not_started(client: &Client, old: &cri::Container, new: &str, fresh_pod: bool, error: Error) -> Error {
    let status = client.container_status(new, Detail::Plain).await.map(|answer| answer.status.unwrap_or_default());
    if status.is_ok_and(|status| status.state() == ContainerState::ContainerExited) {
        remark_failure(remove_old(client, old, fresh_pod).await);
        return error;
    }
    let (old, new) = (&old.id[..old.id.len().min(12)], &new[..new.len().min(12)]);
    error.context(format!("container {old} is kept beside the new container {new}; try again with `gorae start {new}`"))
}

fn remark_failure(done: Result<()>) {
    if let Err(error) = done {
        output::remark(&format!("gorae: {error:#}"));
    }
}

/// The configuration for the next attempt of a container, which takes over the files of `old`.
fn next_container(mut config: cri::ContainerConfig, old: &str) -> cri::ContainerConfig {
    let metadata = config.metadata.get_or_insert_default();
    metadata.attempt = metadata.attempt.wrapping_add(1);
    config.annotations.insert(CONTINUE_ANNOTATION.to_owned(), old.to_owned());
    config
}

fn next_pod(config: &mut cri::PodSandboxConfig) {
    let metadata = config.metadata.get_or_insert_default();
    metadata.attempt = metadata.attempt.wrapping_add(1);
}

async fn ready(client: &Client, pod: &str) -> Result<bool> {
    let status = client.pod_status(pod, Detail::Plain).await?.status.context("the daemon's response has no status")?;
    Ok(status.state() == PodSandboxState::SandboxReady)
}

/// Removes the old container, and its pod if that was replaced. The log stays: the new container appends to it.
async fn remove_old(client: &Client, old: &cri::Container, with_pod: bool) -> Result<()> {
    let request = cri::RemoveContainerRequest { container_id: old.id.clone() };
    client
        .runtime()
        .remove_container(request)
        .await
        .map_err(refused(|| format!("remove the old container {}", old.id)))?;
    if with_pod { removal::remove_pod(client, &old.pod_sandbox_id).await } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_attempt_differs_in_nothing_but_attempt_and_origin() {
        let metadata = Some(cri::ContainerMetadata { name: "a".into(), attempt: 4 });
        let old = cri::ContainerConfig { metadata, args: vec!["x".into()], tty: true, ..Default::default() };
        let mut next = next_container(old.clone(), "id1");
        assert_eq!(next.metadata.as_ref().expect("kept").attempt, 5);
        assert_eq!(next.annotations.remove(CONTINUE_ANNOTATION).as_deref(), Some("id1"));
        next.metadata = old.metadata.clone();
        assert_eq!(next, old);
    }
}
