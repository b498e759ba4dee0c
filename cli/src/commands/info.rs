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

/// A line for people: a name and a value.
type Line = (String, String);

/// The same for people: one fact per line.
fn words(facts: &Value) -> String {
    let lines =
        [daemon(facts), conditions(facts), network(facts), counts(facts), file_systems(facts), configuration(facts)];
    lines.concat().into_iter().map(|(name, value)| format!("{name:<20}{value}\n")).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text).into_owned(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn daemon(facts: &Value) -> Vec<Line> {
    let runtime = &facts["runtime"];
    let [name, version, api] = ["name", "version", "apiVersion"].map(|key| text(&runtime[key]));
    vec![("Daemon".into(), format!("{name} {version} (CRI {api})")), ("Socket".into(), text(&facts["host"]))]
}

fn conditions(facts: &Value) -> Vec<Line> {
    let state = |condition: &Value| {
        let why = format!("{} {}", text(&condition["reason"]), text(&condition["message"]));
        match (condition["status"] == true, why.trim()) {
            (true, "") => "yes".to_owned(),
            (true, why) => format!("yes, but: {why}"),
            (false, why) => format!("no: {why}"),
        }
    };
    list(&facts["conditions"]).map(|condition| (text(&condition["type"]), state(condition))).collect()
}

fn counts(facts: &Value) -> Vec<Line> {
    let containers = ["running", "created", "exited"].map(|key| format!("{} {key}", facts["containers"][key]));
    vec![
        ("Cgroup driver".into(), text(&facts["cgroupDriver"])),
        ("Containers".into(), containers.join(", ")),
        ("Pods".into(), text(&facts["pods"])),
        ("Images".into(), text(&facts["images"])),
    ]
}

fn file_systems(facts: &Value) -> Vec<Line> {
    let line = |name: &str, disk: &Value| {
        let used = size(disk["usedBytes"]["value"].as_u64().unwrap_or(0));
        (name.to_owned(), format!("{} ({used})", text(&disk["fsId"]["mountpoint"])))
    };
    let images = list(&facts["imageFilesystems"]).map(|disk| line("Image store", disk));
    let containers = list(&facts["containerFilesystems"]).map(|disk| line("Container store", disk));
    images.chain(containers).collect()
}

/// Which network pods are in, and the pods that a network has not let go.
fn network(facts: &Value) -> Vec<Line> {
    let network = &facts["info"]["config"]["network"];
    let choice = network["choice"].as_str().map(|choice| ("Network".to_owned(), plain(choice).into_owned()));
    let owed = list(&network["owed"]).map(|owed| {
        let [pod, of, why] = ["pod", "network", "why"].map(|key| text(&owed[key]));
        (
            "Owed to a network".to_owned(),
            format!("to remove pod {pod} from {of}, tried {} times: {why}", owed["failed"]),
        )
    });
    choice.into_iter().chain(owed).collect()
}

/// The daemon's configuration, without what other lines already say.
fn configuration(facts: &Value) -> Vec<Line> {
    let config = facts["info"]["config"].as_object().into_iter().flatten();
    let said = |key: &str| matches!(key, "pods" | "containers" | "socket");
    let shown = config.filter(|(key, value)| !said(key) && !value.is_object() && !value.is_array());
    shown.map(|(key, value)| (plain(key).into_owned(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_shown_one_per_line_and_harmless() {
        let facts = json!({
            "host": "unix:///x", "runtime": { "name": "gorae\u{1b}[2J", "version": "1", "apiVersion": "v1" },
            "conditions": [
                { "type": "NetworkReady", "status": false, "reason": "R", "message": "m\nn" },
                { "type": "Odd", "status": true, "reason": "", "message": "slow" },
            ],
            "cgroupDriver": null, "containers": { "running": 2, "created": 0, "exited": 1 }, "pods": 3, "images": 4,
            "imageFilesystems": [{ "fsId": { "mountpoint": "/r" }, "usedBytes": { "value": 5000 } }],
            "info": { "config": {
                "rootDir": "/r",
                "network": { "choice": "cni", "owed": [{ "pod": "n/p", "network": "flannel", "failed": 3, "why": "away" }] },
            } },
        });
        let text = words(&facts);
        assert!(!text.contains('\x1b') && text.contains("NetworkReady        no: R m\\nn\n"), "{text}");
        assert!(
            text.contains("Odd                 yes, but: slow\n") && text.contains("Network             cni\n"),
            "{text}"
        );
        let owed = "Owed to a network   to remove pod n/p from flannel, tried 3 times: away\n";
        assert!(text.contains(owed), "{text}");
        assert!(text.contains("Containers          2 running, 0 created, 1 exited\n"), "{text}");
        assert!(
            text.contains("Image store         /r (5.00 kB)\n") && text.contains("rootDir             /r\n"),
            "{text}"
        );
    }
}
