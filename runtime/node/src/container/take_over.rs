// SPDX-License-Identifier: Apache-2.0
//! A container that takes over the writable layer of an ended one.
//!
//! Users expect `start` of a stopped container to find its files again, but the CRI has no transition from EXITED to
//! RUNNING. So the command line makes a new attempt and names the old container in an annotation. The layer moves when
//! the new container starts, by one rename, so that a crash leaves it with one or the other. The volumes that the image
//! declares move just before it.
//!
//! A client that may make a container in one pod must not reach the files of another pod through that annotation. So both
//! pods must have the same namespace and name, and the same id maps, because the files' owners depend on them.

use super::{Container, Record, State};
use crate::disk;
use crate::error::{Error, Result};
use crate::ids;
use crate::objects::Objects;
use crate::places::Places;
use crate::pod::Pod;
use gorae_proto::CONTINUE_ANNOTATION;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Checks at create that the old container can be continued.
///
/// # Errors
/// `NotFound` for the old container; `FailedPrecondition` when it runs, has another image, or belongs to another pod.
pub fn check(objects: &Objects, record: &Record) -> Result<()> {
    let Some(old) = record.config.annotations.get(CONTINUE_ANNOTATION) else { return Ok(()) };
    ended(objects, record, old).map(|_| ())
}

/// Moves the layer, unless it has moved already.
///
/// # Errors
/// As [`check`]; `FailedPrecondition` when the old container ran and its layer is gone: it was removed in the meantime, or
/// another container has taken over the layer. The kernel's error for the rename.
pub async fn take_over(objects: &Objects, places: &Places, record: &Record) -> Result<()> {
    let Some(old) = record.config.annotations.get(CONTINUE_ANNOTATION) else { return Ok(()) };
    let to = places.container_root(&record.id).join("upper");
    if disk::blocking(|| to.exists()) {
        return Ok(());
    }
    let old = ended(objects, record, old)?;
    let _verb = old.verb.lock().await;
    let id = old.record().id.clone();
    let from = places.container_root(&id).join("upper");
    // Volumes first: the layer at its new place means that everything has moved.
    move_volumes(&from.with_file_name("volumes"), &to.with_file_name("volumes"))?;
    match disk::blocking(|| std::fs::rename(&from, &to)) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("take over", &from, &e)),
        // A container that never ran has no files, and a failed start leaves no layer.
        Err(_) if objects.containers.get(&id).is_some() && !has_run(&old.state()) => Ok(()),
        Err(_) => Err(Error::precondition(format!(
            "the files of container {} are gone: it was removed, or another container has taken them over",
            ids::short(&id)
        ))),
    }
}

/// The image's volumes, if there are any, move with the layer.
fn move_volumes(from: &Path, to: &Path) -> Result<()> {
    match disk::blocking(|| std::fs::rename(from, to)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("take over", from, &e)),
        _ => Ok(()),
    }
}

fn has_run(state: &State) -> bool {
    matches!(state, State::Exited(exit) if exit.started_at.is_some())
}

fn ended(objects: &Objects, record: &Record, old: &str) -> Result<Arc<Container>> {
    let old = objects.containers.find(old).map_err(|e| e.during(format!("annotation {CONTINUE_ANNOTATION}")))?;
    let old_record = old.record();
    if old_record.id == record.id || !matches!(old.state(), State::Exited(_)) {
        return Err(Error::precondition(format!("container {} has not ended", ids::short(&old_record.id))));
    }
    if old_record.image.id != record.image.id {
        return Err(Error::precondition("the container to continue was made from another image"));
    }
    let (old_pod, pod) = (objects.pods.find(&old_record.pod_id)?, objects.pods.find(&record.pod_id)?);
    check_pods(&old_pod, &pod)?;
    Ok(old)
}

fn check_pods(old: &Pod, new: &Pod) -> Result<()> {
    let name = |pod: &Pod| pod.record.config.metadata.clone().map(|m| (m.namespace, m.name));
    if name(old) != name(new) {
        let title = Pod::title(&old.record.config);
        return Err(Error::precondition(format!("the container to continue belongs to another pod, {title}")));
    }
    if old.user_mapping() != new.user_mapping() {
        return Err(Error::precondition(
            "the container to continue belongs to a pod with other user and group id maps",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod;
    use gorae_proto::cri;

    fn pod(namespace: &str, name: &str, attempt: u32, first_id: Option<u32>) -> Arc<Pod> {
        let metadata = cri::PodSandboxMetadata {
            name: name.into(),
            uid: format!("uid-{attempt}"),
            namespace: namespace.into(),
            attempt,
        };
        let user = first_id.map(|host_id| {
            let maps = vec![cri::IdMapping { host_id, container_id: 0, length: 65_536 }];
            cri::UserNamespace { mode: cri::NamespaceMode::Pod.into(), uids: maps.clone(), gids: maps }
        });
        let config = pod::test_config(cri::NamespaceOption { userns_options: user, ..Default::default() });
        let config = cri::PodSandboxConfig { metadata: Some(metadata), ..config };
        let record = pod::test_record(config);
        Pod::new(record, pod::State::NotReady)
    }

    #[test]
    fn only_another_attempt_of_the_same_pod_goes_on_with_its_files() {
        let old = pod("team", "web", 0, Some(100_000));
        assert!(check_pods(&old, &pod("team", "web", 1, Some(100_000))).is_ok());
        for (other, why) in [
            (pod("other", "web", 1, Some(100_000)), "team/web"),
            (pod("team", "shop", 1, Some(100_000)), "team/web"),
            (pod("team", "web", 1, Some(200_000)), "maps"),
            (pod("team", "web", 1, None), "maps"),
        ] {
            let error = check_pods(&old, &other).expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
