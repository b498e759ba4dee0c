// SPDX-License-Identifier: Apache-2.0
//! `gorae info`.

use crate::client::Client;
use crate::context::Context;
use crate::failure::refused;
use crate::output::escape::plain;
use crate::output::json;
use crate::output::table::size;
use crate::states;
use anyhow::Result;
use gorae_proto::cri;
use gorae_proto::cri::{CgroupDriver, ContainerState};
use serde_json::{Value, json};
use std::fmt::Write;

/// `info` has no arguments of its own.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints everything that the daemon reports about itself.
///
/// # Errors
/// When the daemon refuses a call, or the result cannot be printed. The calls for the cgroup driver and for disk usage
/// may fail: these values are then missing.
pub async fn run(_args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let facts = gather(&client).await?;
    context.output.one(&facts, || words(&facts))?;
    Ok(0)
}

async fn gather(client: &Client) -> Result<Value> {
    let mut runtime = client.runtime();
    let version = runtime.version(cri::VersionRequest::default()).await;
    let version = version.map_err(refused(|| "ask the daemon for its version"))?.into_inner();
    let status = runtime.status(cri::StatusRequest { verbose: true }).await;
    let status = status.map_err(refused(|| "ask the daemon for its status"))?.into_inner();
    let driver = match runtime.runtime_config(cri::RuntimeConfigRequest {}).await {
        Ok(answer) => answer.into_inner().linux.map(|linux| driver_name(linux.cgroup_driver())),
        Err(_) => None,
    };
    let disk = match client.images().image_fs_info(cri::ImageFsInfoRequest {}).await {
        Ok(answer) => answer.into_inner(),
        Err(_) => cri::ImageFsInfoResponse::default(),
    };
    let images = client.images().list_images(cri::ListImagesRequest::default()).await;
    let images = images.map_err(refused(|| "list images"))?.into_inner().images.len();
    let containers = client.containers().await?;
    let count = |state: ContainerState| containers.iter().filter(|c| c.state() == state).count();
    let states = [ContainerState::ContainerRunning, ContainerState::ContainerCreated, ContainerState::ContainerExited];
    let counts: serde_json::Map<_, _> =
        states.map(|state| (states::of_container(state).to_owned(), count(state).into())).into_iter().collect();
    Ok(json!({
        "host": client.host,
        "clientVersion": env!("CARGO_PKG_VERSION"),
        "runtime": { "name": version.runtime_name, "version": version.runtime_version, "apiVersion": version.runtime_api_version },
        "conditions": json::message(&status.status.unwrap_or_default().conditions)?,
        "handlers": json::message(&status.runtime_handlers)?,
        "features": json::message(&status.features)?,
        "cgroupDriver": driver,
        "containers": counts,
        "pods": client.pods().await?.len(),
        "images": images,
        "imageFilesystems": json::message(&disk.image_filesystems)?,
        "containerFilesystems": json::message(&disk.container_filesystems)?,
        "info": json::info(&status.info),
    }))
}

fn driver_name(driver: CgroupDriver) -> &'static str {
    match driver {
        CgroupDriver::Systemd => "systemd",
        CgroupDriver::Cgroupfs => "cgroupfs",
    }
}

/// The same for people: one fact per line.
fn words(facts: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => plain(text).into_owned(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    };
    let mut out = String::new();
    let mut line = |key: &str, value: String| writeln!(out, "{key:<20}{value}").expect("strings do not fail");
    let runtime = &facts["runtime"];
    line(
        "Daemon",
        format!("{} {} (CRI {})", text(&runtime["name"]), text(&runtime["version"]), text(&runtime["apiVersion"])),
    );
    line("Socket", text(&facts["host"]));
    for condition in facts["conditions"].as_array().into_iter().flatten() {
        let state = if condition["status"] == true {
            "yes".to_owned()
        } else {
            format!("no: {} {}", text(&condition["reason"]), text(&condition["message"]))
        };
        line(&text(&condition["type"]), state);
    }
    line("Cgroup driver", text(&facts["cgroupDriver"]));
    let counts = ["running", "created", "exited"].map(|key| format!("{} {key}", facts["containers"][key]));
    line("Containers", counts.join(", "));
    line("Pods", text(&facts["pods"]));
    line("Images", text(&facts["images"]));
    for key in ["imageFilesystems", "containerFilesystems"] {
        for disk in facts[key].as_array().into_iter().flatten() {
            let used = size(disk["usedBytes"]["value"].as_u64().unwrap_or(0));
            let name = if key.starts_with("image") { "Image store" } else { "Container store" };
            line(name, format!("{} ({used})", text(&disk["fsId"]["mountpoint"])));
        }
    }
    for (key, value) in facts["info"]["config"].as_object().into_iter().flatten() {
        let said = matches!(key.as_str(), "pods" | "containers" | "socket");
        if !said && !value.is_object() && !value.is_array() {
            line(&plain(key), text(value));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_shown_one_per_line_and_harmless() {
        let facts = json!({
            "host": "unix:///x", "runtime": { "name": "gorae\u{1b}[2J", "version": "1", "apiVersion": "v1" },
            "conditions": [{ "type": "NetworkReady", "status": false, "reason": "R", "message": "m\nn" }],
            "cgroupDriver": null, "containers": { "running": 2, "created": 0, "exited": 1 }, "pods": 3, "images": 4,
            "imageFilesystems": [{ "fsId": { "mountpoint": "/r" }, "usedBytes": { "value": 5000 } }],
            "info": { "config": { "rootDir": "/r", "nested": {} } },
        });
        let text = words(&facts);
        assert!(!text.contains('\x1b') && text.contains("NetworkReady        no: R m\\nn\n"), "{text}");
        assert!(text.contains("Containers          2 running, 0 created, 1 exited\n"), "{text}");
        assert!(
            text.contains("Image store         /r (5.00 kB)\n") && text.contains("rootDir             /r\n"),
            "{text}"
        );
    }
}
