// SPDX-License-Identifier: Apache-2.0
//! Searches for containers whose records are lost, by the names of their cgroups.

use crate::hierarchies::{Hierarchies, open};
use crate::path::container_name;
use rustix::fs::{Dir, FileType, OFlags};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Depth of the search, in levels; the kubelet's containers are on the fourth.
const DEEPEST: usize = 12;

/// Finds the cgroups of containers whose records are lost. Returns pairs of id and path, one for each cgroup that is
/// named after one of `ids`.
///
/// It walks the whole tree of each hierarchy, for the rare case that nothing else records where they are. A name has 64
/// random digits, so no cgroup matches by mistake.
pub fn find_containers(hierarchies: &Hierarchies, ids: &[String]) -> Vec<(String, String)> {
    let names: HashMap<String, &String> = ids.iter().map(|id| (container_name(id), id)).collect();
    let mut found = HashSet::new();
    hierarchies.all().for_each(|root| search(root, &names, &mut found));
    found.into_iter().collect()
}

fn search(root: &OwnedFd, names: &HashMap<String, &String>, found: &mut HashSet<(String, String)>) {
    let mut waiting = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = waiting.pop() {
        let here = if depth == 0 { PathBuf::from(".") } else { dir.clone() };
        let Ok(here) = open(root, here, OFlags::RDONLY | OFlags::DIRECTORY) else { continue };
        let Ok(entries) = Dir::new(here) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type() == FileType::Directory) {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            match name.to_str().and_then(|name| names.get(name)) {
                Some(id) => drop(found.insert(((*id).clone(), format!("/{}", dir.join(name).display())))),
                None if name == "." || name == ".." => {}
                None if depth < DEEPEST => waiting.push((dir.join(name), depth + 1)),
                None => {}
            }
        }
    }
}
