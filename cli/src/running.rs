// SPDX-License-Identifier: Apache-2.0
//! From a spec to a running container: image, pod, container, start, and the foreground around it.
//!
//! A step that fails undoes the ones before it, except that a container whose start failed stays to be looked at
//! (unless `--rm`), as with Docker.

use crate::client::Client;
use crate::context::Context;
use crate::failure::{start_code, with_code};
use crate::foreground::{self, Foreground};
use crate::run_spec::RunSpec;
use crate::{creation, ending, output, removal};
use anyhow::Result;
use gorae_proto::cri;
use gorae_proto::cri::ContainerState;
use serde_json::json;

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
    let container = creation::create(client, spec).await?;
    let id = container.id.clone();
    let ended = match (start(client, spec, &id).await, foreground) {
        (Ok(()), Some(how)) => foreground::stay(client, &id, how, &mut interrupts).await,
        (Ok(()), None) => {
            if rm {
                ending::remove_at_end(client, &id)?;
            }
            let told = json!({ "id": id, "name": spec.name, "podId": container.pod_sandbox_id });
            context.output.one(&told, || format!("{id}\n"))?;
            return Ok(0);
        }
        (Err(error), _) => Err(error),
    };
    if rm && let Err(error) = remove(client, &container).await {
        output::remark(&format!("gorae: {error:#}"));
    }
    ended
}

/// What `--rm` asked for: now, or when only the connection to the container ended, at its end.
async fn remove(client: &Client, container: &cri::Container) -> Result<()> {
    let status = client.container_status(&container.id, false).await.map(|answer| answer.status.unwrap_or_default());
    match status.map(|status| status.state()) {
        Ok(ContainerState::ContainerRunning) => ending::remove_at_end(client, &container.id),
        _ => removal::remove(client, container).await,
    }
}

async fn start(client: &Client, spec: &RunSpec, id: &str) -> Result<()> {
    creation::start_container(client, &spec.name, id).await.map_err(|error| with_code(start_code(&error))(error))
}
