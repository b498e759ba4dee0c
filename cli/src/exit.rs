// SPDX-License-Identifier: Apache-2.0
//! Waiting for a container to exit. The daemon's event stream reports it. If the daemon is restarted meanwhile, this waits
//! for it to come back, because the container keeps running without it.

use crate::client::{Client, Detail};
use crate::{failure, output};
use anyhow::{Context, Result};
use gorae_proto::cri;
use gorae_proto::cri::{ContainerState, ContainerStatus};
use std::time::Duration;
use tonic::Code;

/// Pause between two attempts to reach a daemon that went away.
const DAEMON_RETRY: Duration = Duration::from_millis(250);
/// Pause between two status requests when the daemon has no events.
const STATUS_RETRY: Duration = Duration::from_millis(250);

/// Waits until the container has exited, and returns its last status.
///
/// # Errors
/// When the container was removed, or the daemon refuses.
pub async fn wait(client: &Client, id: &str) -> Result<ContainerStatus> {
    let mut said = false;
    loop {
        match until_event(client, id).await {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) if client.is_there().await && !went_away(&error) => return Err(error),
            Err(_) => {
                if !said {
                    output::remark(
                        "the daemon went away; the container keeps running, waiting for the daemon to come back",
                    );
                    said = true;
                }
                tokio::time::sleep(DAEMON_RETRY).await;
            }
        }
    }
}

fn went_away(error: &anyhow::Error) -> bool {
    matches!(failure::code(error), Some(Code::Unavailable | Code::Unknown | Code::Cancelled))
}

/// Waits until the container has exited (`Some`), or until the event stream ends (`None`).
async fn until_event(client: &Client, id: &str) -> Result<Option<ContainerStatus>> {
    // Subscribe first, then check the status, so that an exit between the two is not missed.
    let events = client.runtime().get_container_events(cri::GetEventsRequest {}).await;
    let events = match events {
        Err(status) if status.code() == Code::Unimplemented => None,
        other => Some(other.map_err(failure::refused(|| "watch the events of containers"))?.into_inner()),
    };
    if let Some(status) = exited(client, id).await? {
        return Ok(Some(status));
    }
    if let Some(mut events) = events {
        while let Some(event) = events.message().await.map_err(failure::refused(|| "watch the events of containers"))? {
            if event.container_id == id
                && let Some(status) = exited(client, id).await?
            {
                return Ok(Some(status));
            }
        }
    }
    tokio::time::sleep(STATUS_RETRY).await;
    Ok(None)
}

async fn exited(client: &Client, id: &str) -> Result<Option<ContainerStatus>> {
    let status =
        client.container_status(id, Detail::Plain).await?.status.context("the daemon's response has no status")?;
    Ok((status.state() == ContainerState::ContainerExited).then_some(status))
}

/// The exit code of this program for a container that has exited: the container's own, or 255 when that does not fit.
pub fn code(status: &ContainerStatus) -> u8 {
    u8::try_from(status.exit_code).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_fit_a_process() {
        for (exit_code, expected) in [(0, 0), (137, 137), (255, 255), (-1, 255), (256, 255)] {
            assert_eq!(code(&ContainerStatus { exit_code, ..Default::default() }), expected);
        }
    }
}
