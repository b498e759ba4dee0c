// SPDX-License-Identifier: Apache-2.0
//! CreateContainer: resolve the image, check that a spec can be built, write the record. No kernel object is made.
//!
//! The check looks at paths that are not ours and may hang. The request then times out, and the creation continues. A
//! retry joins it, so a dead volume costs one thread, not one per retry. When the volume is back, a retry succeeds.

use super::order::facts::Facts;
use super::{Container, RECORD_KIND, RECORD_VERSION, Record, State, image, order, precheck};
use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::ids::{self, ContainerId};
use crate::node::Node;
use crate::pod::{self, Pod};
use crate::{clock, disposable, idempotency, records};
use gorae_cdi as cdi;
use gorae_cgroups as cgroups;
use gorae_image_service::Images;
use gorae_proto::cri;
use gorae_shims as shims;
use std::sync::Arc;

/// Creates a container and returns its id; a retry gets the same container.
///
/// # Errors
/// `NotFound` for the pod or the image; `FailedPrecondition` when the pod is not ready; `InvalidArgument` for the request;
/// `AlreadyExists` when a container of that name and attempt was made by another request. Nothing is left behind.
/// `DeadlineExceeded` when a path does not respond; the creation continues.
pub async fn create(
    node: Arc<Node>,
    pod_id: &str,
    config: cri::ContainerConfig,
    sandbox_config: Option<&cri::PodSandboxConfig>,
) -> Result<ContainerId> {
    let pod = node.objects.pods.find(pod_id)?;
    let Some(metadata) = &config.metadata else { return Err(Error::invalid("container config has no metadata")) };
    check_name(&metadata.name)?;
    check_privileged(&config, sandbox_config.unwrap_or(&pod.record.config))?;
    let (key, name) = (Container::key(pod.id(), metadata), metadata.name.clone());
    let (operations, asked) = (node.creates.clone(), config.clone());
    let of = node.clone();
    let creation = operations.run(key, async move { once(&of, &pod, config).await });
    let joined = creation.joined();
    let creation = async {
        let id = creation.await?;
        if let (true, Some(container)) = (joined, node.objects.containers.get(&id)) {
            same(&container.record(), &asked)?;
        }
        Ok(id)
    };
    tokio::time::timeout(disposable::DEADLINE, creation).await.unwrap_or_else(|_| {
        let (limit, what) = (disposable::DEADLINE, precheck::LOOKED_AT);
        let why = format!(
            "create container {name:?}: not done within {limit:?}: it waits for {what} (a file system does not \
             respond) or for its pod's stop; it continues in the background, and a retry gets its result"
        );
        Err(Error::new(Kind::DeadlineExceeded, why))
    })
}

/// Checks that a request is a retry of the request that made a container.
fn same(record: &Record, asked: &cri::ContainerConfig) -> Result<()> {
    let title = format!("container {}", ids::short(&record.id));
    let Some(first) = &record.first_resources else {
        return idempotency::check_container(&title, &record.config, asked);
    };
    // Its limits have changed since.
    let mut made = record.config.clone();
    made.linux.get_or_insert_default().resources.clone_from(&first.linux);
    if asked.linux.is_none() && made.linux == Some(cri::LinuxContainerConfig::default()) {
        made.linux = None;
    }
    idempotency::check_container(&title, &made, asked)
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > 4096 || name.contains(['\0', '\n', '/']) {
        return Err(Error::invalid(format!("container metadata.name {name:?} is empty or not a valid name")));
    }
    Ok(())
}

/// Checks that only a privileged pod gets a privileged container. `kubectl debug` adds such containers to pods that
/// were made without one, so what counts is the pod as the client sees it now.
fn check_privileged(config: &cri::ContainerConfig, pod: &cri::PodSandboxConfig) -> Result<()> {
    if order::security::context(config).privileged && !pod::request::privileged(pod) {
        let why = "a privileged container needs a privileged pod: linux.security_context.privileged of the request's \
                   sandbox_config is false";
        return Err(Error::precondition(why));
    }
    Ok(())
}

async fn once(node: &Arc<Node>, pod: &Arc<Pod>, config: cri::ContainerConfig) -> Result<ContainerId> {
    let metadata = config.metadata.clone().unwrap_or_default();
    if let Some(made) = node.objects.container_of(pod.id(), &metadata) {
        let id = made.record().id.clone();
        return match made.state() {
            State::Created => same(&made.record(), &config).map(|()| id),
            other => Err(Error::new(
                Kind::AlreadyExists,
                format!("container {} has the same name and attempt and is {}", ids::short(&id), other.word()),
            )),
        };
    }
    check_ready(pod)?;
    let id = ContainerId::generate()?;
    let name = metadata.name;
    let made = make(node, pod, &id, config).await;
    if made.is_err() {
        disk::blocking(|| node.images.release(&id));
    }
    made.map_err(|e| e.during(format!("create container {name:?}")))?;
    Ok(id)
}

fn check_ready(pod: &Pod) -> Result<()> {
    if pod.is_ready() {
        return Ok(());
    }
    Err(Error::precondition(format!("pod {} is not ready: it was stopped", ids::short(pod.id()))))
}

async fn make(node: &Arc<Node>, pod: &Arc<Pod>, id: &ContainerId, config: cri::ContainerConfig) -> Result<()> {
    let record = resolve(&node.images, pod, id, config)?;
    super::take_over::check(&node.objects, &record)?;
    let facts = Facts::of(&node.machine, &node.objects, node.settings.missing_host_path, &record)?;
    let (record, parts) = precheck::run(&node.settings, facts, pod, record).await?;
    // Only a mount shows what the layers contain together, and the daemon itself mounts nothing.
    if !parts.is_empty() {
        shims::look_in_images(&node.machine.spawner, id, parts).await?;
    }
    // A stop of the pod holds this lock: it must not miss a new container.
    let _verb = pod.verb.lock().await;
    check_ready(pod)?;
    let dir = node.machine.places.container_root(id);
    disk::blocking(|| {
        records::make_dir(&dir)?;
        records::write(&dir, "record", RECORD_KIND, RECORD_VERSION, &record).inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&dir);
        })
    })?;
    let container = Container::new(record, State::Created);
    {
        let transaction = node.events.transaction();
        node.objects.containers.insert(container.clone());
        transaction.container_created(&container);
    }
    node.refresh_names_of(pod.id()).await;
    Ok(())
}

/// The record of a request, with the additions of its image and pod; its CDI devices are not resolved yet.
fn resolve(images: &Images, pod: &Pod, id: &ContainerId, config: cri::ContainerConfig) -> Result<Record> {
    let (image, defaults) = image::hold(images, id, &config)?;
    Ok(Record {
        id: id.clone(),
        pod_id: pod.id().clone(),
        created_at: clock::unique_ns(),
        image,
        process: order::resolve::resolve(&config, &defaults, &pod.record.hostname()?)?,
        log_path: log_path(&pod.record.config.log_directory, &config.log_path)?,
        cgroup: cgroups::container_path(&pod.record.pod_cgroup(), id),
        image_mounts: image::hold_volumes(images, id, &config)?,
        cdi: cdi::Edits::default(),
        first_resources: None,
        config,
    })
}

fn log_path(directory: &str, path: &str) -> Result<Option<String>> {
    if directory.is_empty() || path.is_empty() {
        return Ok(None);
    }
    let inside = !path.starts_with('/') && path.split('/').all(|part| part != ".." && !part.contains('\0'));
    if !inside {
        return Err(Error::invalid(format!("log_path {path:?} is not inside the pod's log directory")));
    }
    Ok(Some(format!("{}/{path}", directory.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::log_path;

    #[test]
    fn the_log_stays_in_the_pods_directory() {
        assert_eq!(log_path("/logs/", "c/0.log").expect("inside").as_deref(), Some("/logs/c/0.log"));
        assert_eq!(log_path("", "c/0.log").expect("no directory"), None);
        assert_eq!(log_path("/logs", "").expect("no path"), None);
        for bad in ["../x", "a/../../x", "/etc/passwd"] {
            assert!(log_path("/logs", bad).is_err(), "{bad}");
        }
    }
}
