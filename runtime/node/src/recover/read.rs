// SPDX-License-Identifier: Apache-2.0
//! Reads every record before the socket opens, so that the first list is complete.

use super::strays::Strays;
use super::unreadable::{Damaged, anothers, not_now};
use crate::container::{self, end};
use crate::error::{Error, Kind, Result};
use crate::ids::{self, ContainerId, Id, OfContainer, OfPod, PodId};
use crate::places::Places;
use crate::pod::{self, Up};
use crate::records;
use crate::trash::remove_quietly;
use gorae_network::LivePod;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// What the disk says.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) pods: Vec<(pod::Record, Option<Up>)>,
    pub(super) half_made: Vec<pod::Record>,
    pub(super) containers: Vec<container::Record>,
    /// Pods with a run directory: what they were given may still be in use, ready or not.
    present: HashSet<PodId>,
    pub(super) strays: Strays,
    /// Objects whose records are damaged.
    damaged: Vec<Damaged>,
    /// Directories of objects of which nothing was made yet.
    unbegun: Vec<PathBuf>,
}

/// Reads all records. Damaged ones are moved to `ROOT/damaged`.
///
/// # Errors
/// When a directory or a record cannot be read: what it says is in use all the same, and would be given to others or
/// ended. When another program has written here, in words that this one does not know: a start would end its pods.
pub fn read(places: &Places, boot_id: &str) -> Result<Found> {
    let mut found = Found::default();
    for id in ids_in::<OfPod>(&places.root.join("pods"))? {
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
            Ok(None) => found.unbegun.push(dir),
            Err(error) => found.damaged.push(Damaged::judge(&dir, format!("container-{id}"), error)?),
        }
    }
    // Everything could be read: from here on the start goes on.
    found.damaged.iter().for_each(|object| object.set_aside(places));
    found.unbegun.iter().for_each(|dir| remove_quietly(dir));
    // Looked for now, before new pods and containers come.
    let known: HashSet<&PodId> =
        found.pods.iter().map(|(r, _)| &r.id).chain(found.half_made.iter().map(|r| &r.id)).collect();
    let stray_pods = ids_in::<OfPod>(&places.state.join("pods"))?;
    let pods = stray_pods.into_iter().filter(|id| !known.contains(id)).collect();
    let known: HashSet<&ContainerId> = found.containers.iter().map(|r| &r.id).collect();
    let stray_containers = ids_in::<OfContainer>(&places.state.join("containers"))?;
    let containers = stray_containers.into_iter().filter(|id| !known.contains(id)).collect();
    Ok(Found { strays: Strays { pods, containers }, ..found })
}

/// A whole record in the directory of another object: going on would end what runs there.
fn is_of<K>(dir: &Path, id: &Id<K>, said: &Id<K>) -> Result<()> {
    if said == id {
        return Ok(());
    }
    let said = &said[..said.floor_char_boundary(64)];
    let why = format!("{} is a whole record of {said:?}; move it away to give it up", dir.join("record").display());
    Err(anothers(Error::precondition(why)))
}

fn read_pod(places: &Places, id: &PodId, boot_id: &str, found: &mut Found) -> Result<()> {
    let (dir, run_dir) = (places.pod_root(id), places.pod_run(id));
    if run_dir.try_exists().map_err(|e| not_now(Error::io("look for", &run_dir, &e)))? {
        found.present.insert(id.clone());
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
        Err(error) => {
            found.damaged.push(Damaged::judge(&dir, format!("pod-{id}"), error)?);
            Ok(())
        }
    }
}

/// Looks at what is read of a container later on, where it is too late to stop.
fn no_foreign_record(places: &Places, id: &ContainerId) -> Result<()> {
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
            found.unbegun.push(dir.to_owned());
        }
    }
    Ok(())
}

/// The ids that directories below `dir` are named after: all of them, or an error.
///
/// # Errors
/// The kernel's, with the path.
pub fn ids_in<K>(dir: &Path) -> Result<Vec<Id<K>>> {
    ids_of(std::fs::read_dir(dir)).map_err(|e| Error::io("list", dir, &e))
}

fn ids_of<K>(entries: io::Result<impl Iterator<Item = io::Result<std::fs::DirEntry>>>) -> io::Result<Vec<Id<K>>> {
    let names = entries?.map(|entry| entry.map(|e| e.file_name()));
    let ids = names.filter_map(|name| name.map(|name| name.to_str().and_then(Id::parse)).transpose());
    ids.collect()
}

impl Found {
    /// The pods whose addresses and ports are still theirs.
    pub fn live_pods(&self) -> Vec<LivePod> {
        let of = |record: &pod::Record| LivePod {
            pod_id: record.id.to_string(),
            ips: record.network.given_out().to_vec(),
            port_mappings: record.config.port_mappings.clone(),
        };
        // One that is being stopped has its address until that is done.
        let there = self.pods.iter().map(|(record, _)| record).filter(|record| self.present.contains(&record.id));
        there.map(of).chain(self.half_made.iter().map(of)).filter(|p| !p.ips.is_empty()).collect()
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

    fn write_pod(places: &Places, id: &PodId, version: u32) {
        let network = pod::Network::Builtin { addresses: vec![[10, 64, 0, 2].into()], host_interface: String::new() };
        let record = pod::Record { id: id.clone(), network, ..pod::test_record(cri::PodSandboxConfig::default()) };
        let dir = places.pod_root(id);
        records::make_dir(&dir).expect("directory");
        records::write(&dir, "record", pod::RECORD_KIND, version, &record).expect("record");
    }

    #[test]
    fn a_pod_keeps_its_address_until_its_stop_is_done() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let ids = ['a', 'b', 'c'].map(PodId::of_digit);
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
        assert_eq!(
            live,
            ids[..2].iter().map(ToString::to_string).collect::<Vec<_>>(),
            "ready, being stopped; not the stopped one"
        );
        assert_eq!(found.pods.iter().filter(|(_, up)| up.is_some()).count(), 1);
    }

    #[test]
    fn records_of_a_newer_program_keep_this_one_from_starting_and_stay() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let id = PodId::of_digit('a');
        write_pod(&places, &id, pod::RECORD_VERSION + 1);
        let (damaged, unbegun) = (PodId::of_digit('0'), PodId::of_digit('1'));
        for id in [&damaged, &unbegun] {
            records::make_dir(&places.pod_root(id)).expect("directory");
        }
        std::fs::write(places.pod_root(&damaged).join("record"), "rubbish").expect("write");
        let error = read(&places, "boot").expect_err("newer");
        assert!(error.to_string().contains("newer"), "{error}");
        assert!(places.pod_root(&id).join("record").exists() && !places.damaged().exists());
        assert!(places.pod_root(&damaged).join("record").exists() && places.pod_root(&unbegun).exists());
    }

    #[test]
    fn whole_records_that_say_nothing_to_this_program_keep_it_from_starting_and_stay() {
        // The golden record's.
        let (pod, id) = (PodId::of_digit('c'), ContainerId::of_digit('c'));
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
                write_pod(&places, &pod, pod::RECORD_VERSION);
            }
            if file.starts_with("state/containers") || file.ends_with("old") || file.ends_with("end") {
                let golden = include_bytes!("../golden/container-1");
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
        let ids = ['a', 'b'].map(PodId::of_digit);
        write_pod(&places, &ids[0], pod::RECORD_VERSION);
        std::fs::rename(places.pod_root(&ids[0]), places.pod_root(&ids[1])).expect("renamed");
        let error = read(&places, "boot").expect_err("another's").to_string();
        assert!(error.contains("nothing was touched") && error.contains(ids[0].as_str()), "{error}");
        assert!(places.pod_root(&ids[1]).join("record").exists() && !places.damaged().exists());
    }

    #[test]
    fn a_damaged_record_costs_its_object() {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let ids = ['a', 'b'].map(PodId::of_digit);
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
        let (pod, id) = (PodId::of_digit('a'), ContainerId::of_digit('a'));
        for unread in
            ["root/pods/ID/record", "root/pods/ID/record.new", "state/pods/ID/ready", "root/containers/ID/record"]
        {
            let dir = tempfile::tempdir().expect("tempdir");
            let places = places(dir.path());
            if unread.ends_with("ready") {
                write_pod(&places, &pod, pod::RECORD_VERSION);
            }
            records::make_dir(&places.pod_run(&pod)).expect("directory");
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
        assert_eq!(ids_of(entries()).expect("whole"), [PodId::of_digit('a')]);
        let broken = entries().map(|entries| entries.chain([Err(io::Error::from_raw_os_error(libc::EIO))]));
        assert_eq!(ids_of::<OfPod>(broken).expect_err("broken off").raw_os_error(), Some(libc::EIO));
    }
}
