// SPDX-License-Identifier: Apache-2.0
//! The run of `gorae run`: create, start, stay in the foreground, remove.
//!
//! A failed step undoes the ones before it. The exception is a container that could not be started: it is kept for
//! inspection unless `--rm` was given, as with Docker.

use crate::client::{Client, Detail};
use crate::context::Context;
use crate::failure::{start_code, with_code};
use crate::foreground::{self, Foreground};
use crate::run_spec::RunSpec;
use crate::{creation, ending, output, removal};
use anyhow::Result;
use gorae_proto::cri;
use gorae_proto::cri::ContainerState;
use serde_json::json;

/// Creates the pod and the container, starts the container, and stays with it when `foreground` is given.
///
/// Returns the exit code for the program: the container's in the foreground, 0 in the background.
///
/// # Errors
/// When a step fails. An error of the start carries the exit code that a shell would give.
pub async fn run(
    client: &Client,
    context: &Context,
    spec: &RunSpec,
    foreground: Option<Foreground>,
    rm: bool,
) -> Result<u8> {
    let mut interrupts = foreground::Interrupts::listen()?;
    let container = creation::create(client, spec).await?;
    let id = container.id.clone();
    let ended = match (start(client, spec, &id).await, foreground) {
        (Ok(()), Some(how)) => foreground::stay(client, &id, how, &mut interrupts).await,
        (Ok(()), None) => {
            if rm {
                ending::remove_at_end(client, &id)?;
            }
            let result = json!({ "id": id, "name": spec.name, "podId": container.pod_sandbox_id });
            context.output.one(&result, || format!("{id}\n"))?;
            return Ok(0);
        }
        (Err(error), _) => Err(error),
    };
    if rm && let Err(error) = remove(client, &container).await {
        output::remark(&format!("gorae: {error:#}"));
    }
    ended
}

/// Does what `--rm` requires. If the container is still running, because only the connection to it ended, it is removed
/// when it exits.
async fn remove(client: &Client, container: &cri::Container) -> Result<()> {
    let status =
        client.container_status(&container.id, Detail::Plain).await.map(|answer| answer.status.unwrap_or_default());
    match status.map(|status| status.state()) {
        Ok(ContainerState::ContainerRunning) => ending::remove_at_end(client, &container.id),
        _ => removal::remove(client, container).await,
    }
}

async fn start(client: &Client, spec: &RunSpec, id: &str) -> Result<()> {
    creation::start_container(client, &spec.name, id).await.map_err(|error| with_code(start_code(&error))(error))
}
