// SPDX-License-Identifier: Apache-2.0
//! A container's device nodes, and its rules for access to devices.

use super::paths;
use crate::error::{Error, Result};
use gorae_cdi::{DeviceNode, Edits};
use gorae_order::devices::{Device, DeviceAccess, DeviceKind, DeviceRule, Node};
use gorae_proto::cri;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The character devices that every container has.
const USUAL: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];
/// Devices that exist inside but are not in the list above: console, ptmx, ptys.
const RULES_ONLY: [(u32, Option<u32>); 3] = [(5, Some(1)), (5, Some(2)), (136, None)];
/// Largest number of nodes below one device directory.
const MAX_NODES: usize = 8192;
/// Largest number of rules: the shim accepts 512, and adds those that every container needs.
const MAX_RULES: usize = 480;
/// Permission bits of a node for which none are specified.
const DEFAULT_MODE: u32 = 0o666;
/// How deep a device directory is searched.
const MAX_DEPTH: usize = 8;

/// Builds the nodes and rules for a request and its CDI devices.
///
/// The nodes also work in a user namespace: their file system belongs to the node's user namespace.
///
/// # Errors
/// `NotFound` for a device that the node lacks, `InvalidArgument` for a path that is not a device and for permissions
/// other than a subset of `rwm`.
pub fn build(config: &cri::ContainerConfig, cdi: &Edits, privileged: bool) -> Result<(Vec<Device>, Vec<DeviceRule>)> {
    let mut nodes: Vec<Device> = USUAL.iter().map(|&(path, major, minor)| usual(path, major, minor)).collect();
    let mut rules = if privileged { vec![allow_all()] } else { usual_rules() };
    if privileged {
        walk(Path::new("/dev"), "/dev", 0, &mut nodes)?;
    }
    for asked in &config.devices {
        let access = access(&asked.permissions)?;
        let before = nodes.len();
        add(asked, &mut nodes)?;
        rules.extend(nodes[before..].iter().filter_map(|device| allow_node(device.node, access)));
    }
    for asked in &cdi.device_nodes {
        let device = cdi_node(asked).map_err(|e| e.during("CDI device node"))?;
        rules.extend(allow_node(device.node, access(&asked.permissions)?));
        nodes.push(device);
    }
    if rules.len() > MAX_RULES {
        return Err(Error::invalid(format!("devices: {} rules, at most {MAX_RULES} are supported", rules.len())));
    }
    Ok((without_doubles(nodes), rules))
}

fn usual(path: &str, major: u32, minor: u32) -> Device {
    let node = Node::Character(major, minor);
    Device { path: path.into(), node, mode: DEFAULT_MODE, uid: Some(0), gid: Some(0) }
}

fn allow(kind: DeviceKind, major: Option<u32>, minor: Option<u32>, access: DeviceAccess) -> DeviceRule {
    DeviceRule { allow: true, kind, major, minor, access }
}

fn allow_all() -> DeviceRule {
    allow(DeviceKind::All, None, None, DeviceAccess::ALL)
}

/// A pipe is not a device: no device rule applies to it.
fn allow_node(node: Node, access: DeviceAccess) -> Option<DeviceRule> {
    match node {
        Node::Character(major, minor) => Some(allow(DeviceKind::Character, Some(major), Some(minor), access)),
        Node::Block(major, minor) => Some(allow(DeviceKind::Block, Some(major), Some(minor), access)),
        Node::Fifo => None,
    }
}

fn usual_rules() -> Vec<DeviceRule> {
    let character = |major, minor, access| allow(DeviceKind::Character, major, minor, access);
    let nothing = DeviceRule { allow: false, ..allow_all() };
    let mut rules = vec![
        nothing,
        character(None, None, DeviceAccess::MAKE),
        allow(DeviceKind::Block, None, None, DeviceAccess::MAKE),
    ];
    rules.extend(USUAL.map(|(_, major, minor)| character(Some(major), Some(minor), DeviceAccess::ALL)));
    rules.extend(RULES_ONLY.map(|(major, minor)| character(Some(major), minor, DeviceAccess::ALL)));
    rules
}

/// Permissions of a request; an empty text means all.
fn access(permissions: &str) -> Result<DeviceAccess> {
    let asked = if permissions.is_empty() { "rwm" } else { permissions };
    DeviceAccess::parse(asked)
        .ok_or_else(|| Error::invalid(format!("devices: permissions {permissions:?} are not a subset of rwm")))
}

fn add(asked: &cri::Device, nodes: &mut Vec<Device>) -> Result<()> {
    let path = Path::new(&asked.host_path);
    if !path.is_absolute() {
        return Err(Error::invalid(format!("devices: host_path {:?} is not absolute", asked.host_path)));
    }
    let inside = if asked.container_path.is_empty() { &asked.host_path } else { &asked.container_path };
    let inside = paths::clean("devices: container_path", inside)?;
    refuse_below_mounts(&inside)?;
    let meta = std::fs::metadata(path).map_err(|e| Error::io("device", path, &e))?;
    if meta.is_dir() {
        return walk(path, &inside, 0, nodes);
    }
    match found(inside, &meta) {
        Some(device) => nodes.push(device),
        None => return Err(Error::invalid(format!("devices: {:?} is not a device", asked.host_path))),
    }
    Ok(())
}

/// Makes a copy of the machine's device node; `None` for a file that is not a device.
fn found(inside: String, meta: &Metadata) -> Option<Device> {
    let (major, minor) = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
    let node = if meta.file_type().is_char_device() {
        Node::Character(major, minor)
    } else if meta.file_type().is_block_device() {
        Node::Block(major, minor)
    } else {
        return None;
    };
    let mode = meta.mode() & 0o7777;
    Some(Device { path: inside, node, mode, uid: Some(meta.uid()), gid: Some(meta.gid()) })
}

/// A device node of a CDI spec. Missing values are those of the machine's device; a missing owner is the process's user.
fn cdi_node(asked: &DeviceNode) -> Result<Device> {
    let inside = paths::clean("path", &asked.path)?;
    refuse_below_mounts(&inside)?;
    let said = match asked.kind.as_str() {
        "c" | "u" if asked.major != 0 => Some(Node::Character(asked.major, asked.minor)),
        "b" if asked.major != 0 => Some(Node::Block(asked.major, asked.minor)),
        "p" => Some(Node::Fifo),
        _ => None,
    };
    let device = match said {
        Some(node) => Device { path: inside, node, mode: DEFAULT_MODE, uid: None, gid: None },
        None => like_the_nodes(asked, inside)?,
    };
    let mode = asked.file_mode.map_or(device.mode, |mode| mode & 0o7777);
    Ok(Device { mode, uid: asked.uid, gid: asked.gid, ..device })
}

/// The machine's device, for a CDI spec with missing values.
fn like_the_nodes(asked: &DeviceNode, inside: String) -> Result<Device> {
    let host = Path::new(if asked.host_path.is_empty() { &asked.path } else { &asked.host_path });
    let meta = std::fs::metadata(host).map_err(|e| Error::io("look at", host, &e))?;
    let found = found(inside, &meta);
    let mut found = found.ok_or_else(|| Error::invalid(format!("{} is not a device", host.display())))?;
    let kind = if matches!(found.node, Node::Block(..)) { "b" } else { "c" };
    if !asked.kind.is_empty() && asked.kind != kind && (asked.kind != "u" || kind != "c") {
        let why = format!("{} is of type {kind}, not {:?}", host.display(), asked.kind);
        return Err(Error::precondition(why));
    }
    if asked.major != 0 {
        found.node = match found.node {
            Node::Block(..) => Node::Block(asked.major, asked.minor),
            _ => Node::Character(asked.major, asked.minor),
        };
    }
    Ok(found)
}

/// Directories below /dev that are separate mounts inside a container.
const OWN_MOUNTS: [&str; 3] = ["/dev/pts", "/dev/shm", "/dev/mqueue"];

/// Refuses a node below such a mount, which would hide it silently.
fn refuse_below_mounts(inside: &str) -> Result<()> {
    let hides = |own: &&&str| inside.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match OWN_MOUNTS.iter().find(hides) {
        Some(own) => {
            Err(Error::invalid(format!("devices: {inside} cannot be made: {own} is a separate mount in a container")))
        }
        None => Ok(()),
    }
}

fn walk(host: &Path, inside: &str, depth: usize, nodes: &mut Vec<Device>) -> Result<()> {
    if depth > MAX_DEPTH || OWN_MOUNTS.iter().chain(&["/dev/.udev"]).any(|left_out| host == Path::new(left_out)) {
        return Ok(());
    }
    let entries = std::fs::read_dir(host).map_err(|e| Error::io("list devices in", host, &e))?;
    for entry in entries.flatten() {
        let (Ok(meta), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else { continue };
        let path = format!("{inside}/{name}");
        if meta.is_dir() {
            walk(&entry.path(), &path, depth + 1, nodes)?;
        } else if path != "/dev/console" && path != "/dev/ptmx" {
            nodes.extend(found(path, &meta));
        }
        if nodes.len() > MAX_NODES {
            return Err(Error::invalid(format!("devices: more than {MAX_NODES} nodes below {}", host.display())));
        }
    }
    Ok(())
}

fn without_doubles(nodes: Vec<Device>) -> Vec<Device> {
    let mut list: Vec<Device> = Vec::with_capacity(nodes.len());
    for device in nodes {
        match list.iter_mut().find(|d| d.path == device.path) {
            Some(first) => *first = device,
            None => list.push(device),
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host: &str, permissions: &str) -> cri::ContainerConfig {
        let device =
            cri::Device { container_path: "/dev/x".into(), host_path: host.into(), permissions: permissions.into() };
        cri::ContainerConfig { devices: vec![device], ..Default::default() }
    }

    #[test]
    fn a_device_brings_its_node_and_its_rule() {
        let (nodes, rules) = build(&config("/dev/null", "r"), &Edits::default(), false).expect("null is a device");
        let added = nodes.iter().find(|n| n.path == "/dev/x").expect("node");
        assert_eq!(added.node, Node::Character(1, 3));
        let read = DeviceAccess { read: true, write: false, make: false };
        assert_eq!(rules.last(), Some(&allow(DeviceKind::Character, Some(1), Some(3), read)));
    }

    #[test]
    fn what_is_not_a_device_is_refused() {
        for (host, permissions) in
            [("/etc/passwd", "rw"), ("/nonexistent", "rw"), ("dev/null", "rw"), ("/dev/null", "rx")]
        {
            assert!(build(&config(host, permissions), &Edits::default(), false).is_err(), "{host} {permissions}");
        }
    }

    #[test]
    fn what_a_mount_of_the_container_would_hide_is_refused() {
        for (inside, fits) in
            [("/dev/pts/0", false), ("/dev/shm", false), ("/dev/mqueue/x", false), ("/dev/ptsx", true)]
        {
            let mut config = config("/dev/null", "rw");
            config.devices[0].container_path = inside.into();
            assert_eq!(build(&config, &Edits::default(), false).is_ok(), fits, "{inside}");
        }
    }

    #[test]
    fn more_rules_than_the_shim_takes_are_refused() {
        let edits = |count: u32| {
            let node = |minor| DeviceNode {
                path: format!("/dev/x{minor}"),
                kind: "c".into(),
                major: 240,
                minor,
                ..Default::default()
            };
            let mut edits = Edits::default();
            edits.device_nodes.extend((0..count).map(node));
            edits
        };
        assert!(build(&cri::ContainerConfig::default(), &edits(400), false).is_ok());
        let error = build(&cri::ContainerConfig::default(), &edits(480), false).expect_err("too many");
        assert!(error.to_string().contains("at most 480"), "{error}");
    }

    #[test]
    fn a_cdi_node_is_what_its_file_says_and_else_what_the_host_has() {
        let base = DeviceNode { path: "/dev/x".into(), host_path: "/dev/zero".into(), ..Default::default() };
        let filled = cdi_node(&base).expect("there");
        assert_eq!((filled.node, filled.uid, filled.gid), (Node::Character(1, 5), None, None));
        let said = DeviceNode { uid: Some(5), file_mode: Some(0o20600), ..base.clone() };
        let said = cdi_node(&said).expect("there");
        assert_eq!((said.uid, said.mode), (Some(5), 0o600));
        let numbers = DeviceNode { host_path: "/none".into(), kind: "b".into(), major: 7, minor: 9, ..base.clone() };
        let numbers = cdi_node(&numbers).expect("no look at the node");
        assert_eq!((numbers.node, numbers.mode), (Node::Block(7, 9), 0o666));
        let other_numbers = cdi_node(&DeviceNode { major: 9, minor: 2, ..base.clone() }).expect("there");
        assert_eq!(other_numbers.node, Node::Character(9, 2), "the kind is the machine's");
        let pipe = cdi_node(&DeviceNode { kind: "p".into(), ..base.clone() }).expect("a pipe needs no look");
        assert_eq!((pipe.node, allow_node(pipe.node, DeviceAccess::ALL)), (Node::Fifo, None));
        assert!(cdi_node(&DeviceNode { kind: "u".into(), ..base.clone() }).is_ok(), "an older letter for c");
        assert!(cdi_node(&DeviceNode { kind: "b".into(), ..base.clone() }).is_err(), "zero is not a block device");
        assert!(cdi_node(&DeviceNode { host_path: "/etc/passwd".into(), ..base }).is_err());
    }
}
