// SPDX-License-Identifier: Apache-2.0
//! The start: read the records, take running containers back, undo what was half-made, settle what is owed.
//!
//! Records and state files are read before the socket opens, so that the first list is complete. Everything that
//! could wait for somebody else (shims, clean-ups) happens behind it. One damaged record costs that object: its
//! directory is moved aside for a person to look at. One that cannot be read now says nothing about its object, whose
//! processes, address and layers are in use: without it the daemon does not start, and whoever starts it tries again.

use crate::container::{self, Container, State, end, time};
use crate::error::{Error, Kind, Result};
use crate::node::Node;
use crate::places::Places;
use crate::pod::{self, Pod, Up};
use crate::trash::{self, remove_quietly};
use crate::{clock, ids, records};
use gorae_cgroups as cgroups;
use gorae_network::LivePod;
use gorae_proto::shim::{CgroupPlace, CleanContainer, CleanPod, container_state::Phase};
use gorae_shims as shims;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What the disk says.
#[derive(Debug, Default)]
pub struct Found {
    pods: Vec<(pod::Record, Option<Up>)>,
    half_made: Vec<pod::Record>,
    containers: Vec<container::Record>,
    /// Pods with a run directory: what they were given may still be in use, ready or not.
    present: HashSet<String>,
    strays: Strays,
}

/// Ids of which only the run directory tells: a record was damaged, or a removal was cut off.
#[derive(Debug, Default)]
pub struct Strays {
    /// Of pods.
    pub pods: Vec<String>,
    /// Of containers.
    pub containers: Vec<String>,
}

/// Reads all records. Damaged ones are moved to `ROOT/damaged`.
///
/// # Errors
/// When a directory or a record cannot be read: what it says is in use all the same, and would be given to others or
/// ended. When another program has written here, in words that this one does not know: a start would end its pods.
pub fn read(places: &Places, boot_id: &str) -> Result<Found> {
    let mut found = Found::default();
    for id in ids_in(&places.root.join("pods"))? {
        read_pod(places, &id, boot_id, &mut found)?;
    }
    for id in ids_in(&places.root.join("containers"))? {
        let dir = places.container_root(&id);
        match records::read::<container::Record>(&dir.join("record"), container::RECORD_KIND, container::RECORD_VERSION)
        {
            Ok(Some(record)) => {
                is_of(&dir, &id, &record.id)?;
                no_foreign_record(places, &id)?;
                found.containers.push(record);
            }
            Ok(None) => remove_quietly(&dir),
            Err(error) => set_aside(places, &dir, &format!("container-{id}"), error)?,
        }
    }
    // Looked for now, before new pods and containers come.
    let known: HashSet<&String> =
        found.pods.iter().map(|(r, _)| &r.id).chain(found.half_made.iter().map(|r| &r.id)).collect();
    let stray_pods = ids_in(&places.state.join("pods"))?;
    let pods = stray_pods.into_iter().filter(|id| !known.contains(id)).collect();
    let known: HashSet<&String> = found.containers.iter().map(|r| &r.id).collect();
    let stray_containers = ids_in(&places.state.join("containers"))?;
    let containers = stray_containers.into_iter().filter(|id| !known.contains(id)).collect();
    Ok(Found { strays: Strays { pods, containers }, ..found })
}

/// A whole record in the directory of another object: going on would end what runs there.
fn is_of(dir: &Path, id: &str, said: &str) -> Result<()> {
    if said == id {
        return Ok(());
    }
    let said = &said[..said.floor_char_boundary(64)];
    let why = format!("{} is a whole record of {said:?}; move it away to give it up", dir.join("record").display());
    Err(anothers(Error::precondition(why)))
}

fn read_pod(places: &Places, id: &str, boot_id: &str, found: &mut Found) -> Result<()> {
    let (dir, run_dir) = (places.pod_root(id), places.pod_run(id));
    if run_dir.try_exists().map_err(|e| not_now(Error::io("look for", &run_dir, &e)))? {
        found.present.insert(id.to_owned());
    }
    match records::read::<pod::Record>(&dir.join("record"), pod::RECORD_KIND, pod::RECORD_VERSION) {
        Ok(Some(record)) => {
            is_of(&dir, id, &record.id)?;
            match pod::resources::kept(&dir).map(drop) {
                Err(error) if error.kind() == Kind::FailedPrecondition => return Err(anothers(error)),
                // Damaged or not to be read now: it is said where it is taken.
                _ => {}
            }
            let up = read_up(&run_dir)?.filter(|up| up.boot_id == boot_id);
            found.pods.push((record, up));
            Ok(())
        }
        Ok(None) => read_half_made(&dir, id, found),
        Err(error) => set_aside(places, &dir, &format!("pod-{id}"), error),
    }
}

/// Looks at what is read of a container later on, where it is too late to stop.
fn no_foreign_record(places: &Places, id: &str) -> Result<()> {
    let dir = places.container_root(id);
    let end = match end::kept(&dir) {
        // Going on would make an end that is known an unknown one.
        Err(error) if error.kind() == Kind::Unavailable => return Err(not_now(error)),
        end => end.map(drop),
    };
    let (kind, version) = (container::RECORD_KIND, container::RECORD_VERSION);
    let old = records::read::<container::Record>(&dir.join(container::update::OLD), kind, version).map(drop);
    let state = container::read_state(&places.container_run(id)).map(drop);
    match [end, old, state].into_iter().filter_map(Result::err).find(|e| e.kind() == Kind::FailedPrecondition) {
        Some(error) => Err(anothers(error)),
        None => Ok(()),
    }
}

/// What says that a pod is up. A damaged one says no: the pod is stopped.
fn read_up(run_dir: &Path) -> Result<Option<Up>> {
    match records::read::<Up>(&run_dir.join("ready"), "ready", 1) {
        Err(error) if error.kind() == Kind::Unavailable => Err(not_now(error)),
        Err(error) if error.kind() == Kind::FailedPrecondition => Err(anothers(error)),
        read => Ok(read.ok().flatten()),
    }
}

fn read_half_made(dir: &Path, id: &str, found: &mut Found) -> Result<()> {
    match records::read::<pod::Record>(&dir.join("record.new"), pod::RECORD_KIND, pod::RECORD_VERSION) {
        Ok(Some(record)) => found.half_made.push(record),
        Err(error) if error.kind() == Kind::Unavailable => return Err(not_now(error)),
        Err(error) if error.kind() == Kind::FailedPrecondition => return Err(anothers(error)),
        // Cut off while the intent was being written: nothing else was done yet.
        Ok(None) | Err(_) => {
            tracing::info!(pod = ids::short(id), "a pod was cut off before anything of it was made");
            remove_quietly(dir);
        }
    }
    Ok(())
}

/// The ids that directories below `dir` are named after: all of them, or an error.
///
/// # Errors
/// The kernel's, with the path.
pub fn ids_in(dir: &Path) -> Result<Vec<String>> {
    ids_of(std::fs::read_dir(dir)).map_err(|e| Error::io("list", dir, &e))
}

fn ids_of(entries: io::Result<impl Iterator<Item = io::Result<std::fs::DirEntry>>>) -> io::Result<Vec<String>> {
    let names = entries?.map(|entry| entry.map(|e| e.file_name().into_string().ok()));
    let ids = names.filter_map(|name| name.map(|name| name.filter(|n| ids::is_id(n))).transpose());
    ids.collect()
}

/// What to do with an object whose record says nothing.
fn set_aside(places: &Places, dir: &Path, name: &str, why: Error) -> Result<()> {
    match why.kind() {
        Kind::FailedPrecondition => return Err(anothers(why)),
        Kind::Unavailable => return Err(not_now(why)),
        _ => {}
    }
    tracing::error!(object = name, %why, kept_in = %places.damaged().display(), "record is unreadable; object is lost");
    let moved = records::make_private_dir(&places.damaged())
        .map_err(|e| e.to_string())
        .and_then(|()| std::fs::rename(dir, places.damaged().join(name)).map_err(|e| e.to_string()));
    if let Err(error) = moved {
        tracing::error!(object = name, error, "cannot move it aside");
    }
    Ok(())
}

fn anothers(why: Error) -> Error {
    why.during("not started, and nothing was touched")
}

fn not_now(why: Error) -> Error {
    why.during("not started, for what cannot be read now is in use; start again, or move it away to give it up")
}

impl Found {
    /// The pods whose addresses and ports are still theirs.
    pub fn live_pods(&self) -> Vec<LivePod> {
        let of = |record: &pod::Record| LivePod {
            pod_id: record.id.clone(),
            ips: record.network.given_out().to_vec(),
            port_mappings: record.config.port_mappings.clone(),
        };
        // One that is being stopped has its address until that is done.
        let there = self.pods.iter().map(|(record, _)| record).filter(|record| self.present.contains(&record.id));
        there.map(of).chain(self.half_made.iter().map(of)).filter(|p| !p.ips.is_empty()).collect()
    }

    /// Fills the indexes from records and state files; no shim is asked.
    pub fn fill(&self, node: &Arc<Node>) {
        self.pods.iter().map(|(record, _)| record.created_at).for_each(clock::was_given_out);
        self.containers.iter().map(|record| record.created_at).for_each(clock::was_given_out);
        for (record, up) in &self.pods {
            let up = up.clone().filter(pod::watch::is_alive);
            let pod = Pod::new(record.clone(), up.map_or(pod::State::NotReady, pod::State::Ready));
            pod::resources::restore(&node.machine.places.pod_root(&record.id), &pod);
            node.objects.pods.insert(pod.clone());
            pod::watch::follow(node, &pod);
        }
        for record in &self.containers {
            let state = first_state(node, record);
            let mut held: Vec<_> = record.image.layers.clone();
            held.extend(record.image_mounts.iter().flat_map(|m| m.layers.clone()));
            if let Err(error) = node.images.hold_layers(&held, &record.id) {
                tracing::error!(container = ids::short(&record.id), %error, "a layer of the container is gone");
            }
            node.objects.containers.insert(Container::new(record.clone(), state));
        }
    }
}

fn first_state(node: &Node, record: &container::Record) -> State {
    let (dir, id) = (node.machine.places.container_root(&record.id), &record.id);
    match node.keeper.state_on_disk(id) {
        Ok(Some(state)) if state.phase() != Phase::Exited && state.boot_id != node.machine.boot_id => {
            end::kept_or_lost(&dir, id, time(state.started_at_ns), "the machine was restarted")
        }
        Ok(Some(state)) => {
            let state = State::from_shim(&state);
            if let State::Exited(exit) = &state {
                // It ended while no daemon was there to keep it.
                end::keep_if_new(&dir, id, exit);
            }
            state
        }
        Ok(None) => match end::kept(&dir) {
            // The first start makes the writable layer. Without a pod nothing of it can be on its way.
            Ok(None) if node.machine.places.pod_run(&record.pod_id).exists() || !was_started(node, record) => {
                State::Created
            }
            _ => {
                let why = "the machine was restarted, or its state directory was removed";
                end::kept_or_lost(&dir, id, None, why)
            }
        },
        Err(error) => {
            tracing::error!(container = ids::short(id), %error, "state is unreadable");
            State::Starting
        }
    }
}

fn was_started(node: &Node, record: &container::Record) -> bool {
    node.machine.places.container_root(&record.id).join("upper").exists()
}

/// Takes running containers back and settles everything else; returns when all of it is settled.
pub async fn settle(node: Arc<Node>, found: Found) {
    let shims = node.objects.containers.all().into_iter().map(|container| {
        let node = node.clone();
        async move {
            match container.state() {
                State::Starting | State::Running { .. } => node.keeper.reconnect(&container).await,
                State::Created if node.machine.places.container_run(&container.record().id).exists() => {
                    node.keeper.reconnect(&container).await;
                }
                _ => {}
            }
            container::update::settle_soon(&node, &container);
        }
    });
    futures_util::future::join_all(shims).await;
    pod::pins::check_all(&node).await;
    for record in &found.half_made {
        if let Err(error) = pod::run::undo(&node, record).await {
            tracing::error!(pod = ids::short(&record.id), %error, "cannot undo a half-made pod; listed as not ready");
            let _ = records::commit(&node.machine.places.pod_root(&record.id), "record");
            node.objects.pods.insert(Pod::new(record.clone(), pod::State::NotReady));
        }
    }
    for pod in node.objects.pods.all().into_iter().filter(|p| !p.is_ready()) {
        if let Err(error) = pod::stop::stop(&node, &pod).await {
            tracing::error!(pod = ids::short(pod.id()), %error, "cannot finish stopping the pod; a stop is tried again");
        }
    }
    end_strays(&node, &found.strays).await;
    trash::empty(node.machine.places.trash()).await;
    node.images.collect();
    tracing::info!(pods = node.objects.pods.len(), containers = node.objects.containers.len(), "everything is settled");
}

/// Ends what runs without a record.
pub async fn end_strays(node: &Arc<Node>, strays: &Strays) {
    end_stray_containers(node, &strays.containers).await;
    for id in &strays.pods {
        let run_dir = node.machine.places.pod_run(id);
        let clean = CleanPod {
            pod_id: id.clone(),
            run_dir: run_dir.to_string_lossy().into_owned(),
            cgroup: gorae_cgroups::pod_path("", id).ok().map(|c| node.machine.cgroup(c.path)),
            ..CleanPod::default()
        };
        tracing::warn!(pod = ids::short(id), "a pod without a record is there; removing it");
        match shims::clean_pod(&node.machine.spawner, clean).await {
            Ok(()) => remove_quietly(&run_dir),
            Err(error) => tracing::error!(pod = ids::short(id), %error, "cannot remove it"),
        }
    }
}

/// Ends containers of which only the run directory tells: their shims, if they are there, and what is in their cgroups.
async fn end_stray_containers(node: &Arc<Node>, lost: &[String]) {
    if lost.is_empty() {
        return;
    }
    let (hierarchies, wanted) = (node.machine.hierarchies.clone(), lost.to_vec());
    let places = tokio::task::spawn_blocking(move || cgroups::find_containers(&hierarchies, &wanted)).await;
    let places: HashMap<String, String> = places.unwrap_or_default().into_iter().collect();
    for id in lost {
        tracing::warn!(container = ids::short(id), "a container without a record is there; ending it");
        let run_dir = node.machine.places.container_run(id);
        // Where no hierarchy has it, its shim is all that can be left.
        let path = places.get(id).cloned().unwrap_or_else(|| format!("{}/{id}", cgroups::DEFAULT_PARENT));
        let clean = CleanContainer {
            container_id: id.clone(),
            run_dir: run_dir.to_string_lossy().into_owned(),
            cgroup: Some(CgroupPlace { layout: Some(node.machine.layout.clone()), path }),
            // Without the record nobody knows its hooks.
            ..CleanContainer::default()
        };
        match shims::clean_container(&node.machine.spawner, clean).await {
            Ok(_) => remove_quietly(&run_dir),
            Err(error) => tracing::error!(container = ids::short(id), %error, "cannot end it; it is tried again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::cri;

    fn places(dir: &Path) -> Places {
        let places = Places { root: dir.join("root"), state: dir.join("state") };
        places.prepare().expect("directories");
        places
    }

    fn write_pod(places: &Places, id: &str, version: u32) {
        let network = pod::Network::Builtin { addresses: vec![[10, 64, 0, 2].into()], host_interface: String::new() };
        let record = pod::Record { id: id.into(), network, ..pod::test_record(cri::PodSandboxConfig::default()) };
        let dir = places.pod_root(id);
        records::make_dir(&dir).expect("directory");
        records::write(&dir, "record", pod::RECORD_KIND, version, &record).expect("record");
    }

    #[test]
    fn a_pod_keeps_its_address_until_its_stop_is_done() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let ids = ["a", "b", "c"].map(|c| c.repeat(64));
        for id in &ids {
            write_pod(&places, id, pod::RECORD_VERSION);
        }
        let up = Up { boot_id: "boot".into(), ..Up::default() };
        for id in &ids[..2] {
            records::make_dir(&places.pod_run(id)).expect("directory");
        }
        records::write(&places.pod_run(&ids[0]), "ready", "ready", 1, &up).expect("ready");
        let found = read(&places, "boot").expect("readable");
        let mut live: Vec<String> = found.live_pods().into_iter().map(|p| p.pod_id).collect();
        live.sort();
        assert_eq!(live, ids[..2], "ready, being stopped; not the stopped one");
        assert_eq!(found.pods.iter().filter(|(_, up)| up.is_some()).count(), 1);
    }

    #[test]
    fn records_of_a_newer_program_keep_this_one_from_starting_and_stay() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let id = "a".repeat(64);
        write_pod(&places, &id, pod::RECORD_VERSION + 1);
        let error = read(&places, "boot").expect_err("newer");
        assert!(error.to_string().contains("newer"), "{error}");
        assert!(places.pod_root(&id).join("record").exists() && !places.damaged().exists());
    }

    #[test]
    fn whole_records_that_say_nothing_to_this_program_keep_it_from_starting_and_stay() {
        // The golden record's.
        let id = "c".repeat(64);
        for (file, kind) in [
            ("root/pods/ID/record", pod::RECORD_KIND),
            ("root/pods/ID/record.new", pod::RECORD_KIND),
            ("state/pods/ID/ready", "ready"),
            ("root/containers/ID/record", container::RECORD_KIND),
            ("root/containers/ID/record.old", container::RECORD_KIND),
            ("root/containers/ID/end", "end"),
            ("state/containers/ID/state", container::STATE_KIND),
        ] {
            let dir = tempfile::tempdir().expect("tempdir");
            let places = places(dir.path());
            if file.ends_with("ready") {
                write_pod(&places, &id, pod::RECORD_VERSION);
            }
            if file.starts_with("state/containers") || file.ends_with("old") || file.ends_with("end") {
                let golden = include_bytes!("golden/container-1");
                records::make_dir(&places.container_root(&id)).expect("directory");
                std::fs::write(places.container_root(&id).join("record"), golden).expect("write");
            }
            let path = dir.path().join(file.replace("ID", &id));
            records::make_dir(path.parent().expect("below a directory")).expect("directory");
            std::fs::write(&path, gorae_kernel::checked::encode(kind, 1, b"{\"another\": \"shape\"}")).expect("write");
            let error = read(&places, "boot").expect_err(file).to_string();
            for part in ["nothing was touched", &path.display().to_string(), "version 1;", "run that one again"] {
                assert!(error.contains(part), "{file}: {error}");
            }
            assert!(path.exists() && !places.damaged().exists(), "{file}");
        }
    }

    #[test]
    fn a_whole_record_of_another_object_keeps_the_daemon_from_starting_and_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let ids = ["a", "b"].map(|c| c.repeat(64));
        write_pod(&places, &ids[0], pod::RECORD_VERSION);
        std::fs::rename(places.pod_root(&ids[0]), places.pod_root(&ids[1])).expect("renamed");
        let error = read(&places, "boot").expect_err("another's").to_string();
        assert!(error.contains("nothing was touched") && error.contains(&ids[0]), "{error}");
        assert!(places.pod_root(&ids[1]).join("record").exists() && !places.damaged().exists());
    }

    #[test]
    fn a_damaged_record_costs_its_object() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let ids = ["a", "b"].map(|c| c.repeat(64));
        for id in &ids {
            records::make_dir(&places.pod_root(id)).expect("directory");
            records::make_dir(&places.pod_run(id)).expect("directory");
        }
        std::fs::write(places.pod_root(&ids[0]).join("record"), "rubbish").expect("write");
        // Nobody reads a record there, however often he tries.
        records::make_dir(&places.pod_root(&ids[1]).join("record")).expect("directory");
        let mut found = read(&places, "boot").expect("the daemon starts");
        for id in &ids {
            assert!(places.damaged().join(format!("pod-{id}")).exists());
        }
        found.strays.pods.sort();
        assert_eq!(found.strays.pods, ids);
    }

    #[test]
    fn a_record_that_cannot_be_read_now_keeps_the_daemon_from_starting_and_nothing_is_touched() {
        let id = "a".repeat(64);
        for unread in
            ["root/pods/ID/record", "root/pods/ID/record.new", "state/pods/ID/ready", "root/containers/ID/record"]
        {
            let dir = tempfile::tempdir().expect("tempdir");
            let places = places(dir.path());
            if unread.ends_with("ready") {
                write_pod(&places, &id, pod::RECORD_VERSION);
            }
            records::make_dir(&places.pod_run(&id)).expect("directory");
            records::make_dir(&places.container_run(&id)).expect("directory");
            let file = dir.path().join(unread.replace("ID", &id));
            records::make_dir(file.parent().expect("below a directory")).expect("directory");
            // A link to itself: every reading fails, as on a disk with an error.
            std::os::unix::fs::symlink(&file, &file).expect("link");
            let error = read(&places, "boot").expect_err("not read").to_string();
            assert!(error.contains(&file.display().to_string()) && error.contains("start again"), "{error}");
            assert!(file.is_symlink() && !places.damaged().exists(), "{unread}");
        }
    }

    #[test]
    fn a_list_that_breaks_off_is_an_error_and_not_a_shorter_list() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(dir.path().join("a".repeat(64))).expect("directory");
        let entries = || std::fs::read_dir(dir.path());
        assert_eq!(ids_of(entries()).expect("whole"), ["a".repeat(64)]);
        let broken = entries().map(|entries| entries.chain([Err(io::Error::from_raw_os_error(libc::EIO))]));
        assert_eq!(ids_of(broken).expect_err("broken off").raw_os_error(), Some(libc::EIO));
    }
}
