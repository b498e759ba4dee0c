// SPDX-License-Identifier: Apache-2.0
//! Device nodes of a container and the rules of what it may open.

use crate::error::{Error, Result};
use gorae_cdi::{DeviceNode, Edits};
use gorae_proto::cri;
use gorae_proto::shim::{Device, DeviceRule};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The nodes that every container has.
const USUAL: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];
/// Devices that exist inside without a node of their own here: console, ptmx, ptys.
const RULES_ONLY: [(i64, i64); 3] = [(5, 1), (5, 2), (136, -1)];
/// Most nodes that one directory of devices may bring.
const MAX_NODES: usize = 8192;
/// Most rules: the shim takes 512, and adds those that every container needs.
const MAX_RULES: usize = 480;

/// Nodes and rules for a request and its CDI devices.
///
/// In a user namespace the nodes work as well: they stand in a file system that the host's owns.
///
/// # Errors
/// `NotFound` for a missing host device, `InvalidArgument` for what is no device and for permissions other
/// than a subset of `rwm`.
pub fn build(config: &cri::ContainerConfig, cdi: &Edits, privileged: bool) -> Result<(Vec<Device>, Vec<DeviceRule>)> {
    let mut nodes: Vec<Device> = USUAL.iter().map(|&(path, major, minor)| usual(path, major, minor)).collect();
    let mut rules = if privileged { vec![rule("a", -1, -1, "rwm")] } else { usual_rules() };
    if privileged {
        walk(Path::new("/dev"), "/dev", 0, &mut nodes)?;
    }
    for asked in &config.devices {
        let access = access(&asked.permissions)?;
        let before = nodes.len();
        add(asked, &mut nodes)?;
        let added: Vec<DeviceRule> =
            nodes[before..].iter().map(|n| rule(&n.kind, i64::from(n.major), i64::from(n.minor), &access)).collect();
        rules.extend(added);
    }
    for asked in &cdi.device_nodes {
        let device = cdi_node(asked).map_err(|e| e.during("CDI device node"))?;
        // A fifo is no device: nothing rules who opens it.
        if device.kind != "p" {
            let kind = if device.kind == "b" { "b" } else { "c" };
            rules.push(rule(kind, device.major.into(), device.minor.into(), &access(&asked.permissions)?));
        }
        nodes.push(device);
    }
    if rules.len() > MAX_RULES {
        return Err(Error::invalid(format!("devices: {} rules, at most {MAX_RULES} can be kept", rules.len())));
    }
    Ok((without_doubles(nodes), rules))
}

fn usual(path: &str, major: u32, minor: u32) -> Device {
    Device { path: path.into(), kind: "c".into(), major, minor, mode: 0o666, ..Device::default() }
}

fn rule(kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule { allow: true, kind: kind.into(), major, minor, access: access.into() }
}

fn usual_rules() -> Vec<DeviceRule> {
    let mut rules =
        vec![DeviceRule { allow: false, ..rule("a", -1, -1, "rwm") }, rule("c", -1, -1, "m"), rule("b", -1, -1, "m")];
    rules.extend(USUAL.iter().map(|&(_, major, minor)| rule("c", i64::from(major), i64::from(minor), "rwm")));
    rules.extend(RULES_ONLY.iter().map(|&(major, minor)| rule("c", major, minor, "rwm")));
    rules
}

fn access(permissions: &str) -> Result<String> {
    let asked = if permissions.is_empty() { "rwm" } else { permissions };
    if asked.len() <= 3 && asked.chars().all(|c| "rwm".contains(c)) {
        return Ok(asked.to_owned());
    }
    Err(Error::invalid(format!("devices: permissions {permissions:?} are not a subset of rwm")))
}

fn add(asked: &cri::Device, nodes: &mut Vec<Device>) -> Result<()> {
    let path = Path::new(&asked.host_path);
    if !path.is_absolute() {
        return Err(Error::invalid(format!("devices: host_path {:?} is not absolute", asked.host_path)));
    }
    let inside = if asked.container_path.is_empty() { &asked.host_path } else { &asked.container_path };
    let inside = super::clean_path("devices: container_path", inside)?;
    refuse_below_mounts(&inside)?;
    let meta = std::fs::metadata(path).map_err(|e| Error::io("device", path, &e))?;
    if meta.is_dir() {
        return walk(path, &inside, 0, nodes);
    }
    match node(&inside, &meta) {
        Some(device) => nodes.push(device),
        None => return Err(Error::invalid(format!("devices: {:?} is no device", asked.host_path))),
    }
    Ok(())
}

fn node(inside: &str, meta: &std::fs::Metadata) -> Option<Device> {
    let kind = if meta.file_type().is_char_device() {
        "c"
    } else if meta.file_type().is_block_device() {
        "b"
    } else {
        return None;
    };
    let device = meta.rdev();
    Some(Device {
        path: inside.into(),
        kind: kind.into(),
        major: libc::major(device),
        minor: libc::minor(device),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        ..Device::default()
    })
}

/// A node of a CDI spec; what the spec does not say is the host's, and the owner is the process.
fn cdi_node(asked: &DeviceNode) -> Result<Device> {
    let inside = super::clean_path("path", &asked.path)?;
    refuse_below_mounts(&inside)?;
    let whole = !asked.kind.is_empty() && (asked.major != 0 || asked.kind == "p");
    let mut device = Device { path: inside.clone(), kind: asked.kind.clone(), mode: 0o666, ..Device::default() };
    (device.major, device.minor) = (asked.major, asked.minor);
    if !whole {
        let host = Path::new(if asked.host_path.is_empty() { &asked.path } else { &asked.host_path });
        let meta = std::fs::metadata(host).map_err(|e| Error::io("look at", host, &e))?;
        let found = node(&inside, &meta);
        let found = found.ok_or_else(|| Error::invalid(format!("{} is no device", host.display())))?;
        let kind = if asked.kind == "u" { "c" } else { &asked.kind };
        if !kind.is_empty() && kind != found.kind {
            let why = format!("{} is of type {}, not {:?}", host.display(), found.kind, asked.kind);
            return Err(Error::precondition(why));
        }
        device.kind = found.kind;
        device.mode = found.mode;
        if asked.major == 0 {
            (device.major, device.minor) = (found.major, found.minor);
        }
    }
    device.mode = asked.file_mode.map_or(device.mode, |mode| mode & 0o7777);
    (device.uid, device.process_uid) = (asked.uid.unwrap_or(0), asked.uid.is_none());
    (device.gid, device.process_gid) = (asked.gid.unwrap_or(0), asked.gid.is_none());
    Ok(device)
}

/// Directories below /dev that are mounts of their own inside a container.
const OWN_MOUNTS: [&str; 3] = ["/dev/pts", "/dev/shm", "/dev/mqueue"];

/// What is mounted there would hide the node: it would be dropped without a word.
fn refuse_below_mounts(inside: &str) -> Result<()> {
    let hides = |own: &&&str| inside.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match OWN_MOUNTS.iter().find(hides) {
        Some(own) => {
            Err(Error::invalid(format!("devices: {inside} cannot be made: {own} is a mount of its own in a container")))
        }
        None => Ok(()),
    }
}

fn walk(host: &Path, inside: &str, depth: usize, nodes: &mut Vec<Device>) -> Result<()> {
    if depth > 8 || OWN_MOUNTS.iter().chain(&["/dev/.udev"]).any(|left_out| host == Path::new(left_out)) {
        return Ok(());
    }
    let entries = std::fs::read_dir(host).map_err(|e| Error::io("list devices in", host, &e))?;
    for entry in entries.flatten() {
        let (Ok(meta), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else { continue };
        let path = format!("{inside}/{name}");
        if meta.is_dir() {
            walk(&entry.path(), &path, depth + 1, nodes)?;
        } else if path != "/dev/console" && path != "/dev/ptmx" {
            nodes.extend(node(&path, &meta));
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
        assert_eq!((added.major, added.minor, added.kind.as_str()), (1, 3, "c"));
        assert_eq!(rules.last().map(|r| (r.major, r.minor, r.access.as_str())), Some((1, 3, "r")));
    }

    #[test]
    fn what_is_no_device_is_refused() {
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
        assert_eq!((filled.kind.as_str(), filled.major, filled.minor), ("c", 1, 5));
        assert!(filled.process_uid && filled.process_gid);
        let said = DeviceNode { uid: Some(5), file_mode: Some(0o20600), ..base.clone() };
        let said = cdi_node(&said).expect("there");
        assert_eq!((said.uid, said.process_uid, said.mode), (5, false, 0o600));
        let numbers = DeviceNode { host_path: "/none".into(), kind: "b".into(), major: 7, minor: 9, ..base.clone() };
        let numbers = cdi_node(&numbers).expect("no look at the host");
        assert_eq!((numbers.kind.as_str(), numbers.major, numbers.minor, numbers.mode), ("b", 7, 9, 0o666));
        assert!(cdi_node(&DeviceNode { kind: "b".into(), ..base.clone() }).is_err(), "zero is no block device");
        assert!(cdi_node(&DeviceNode { host_path: "/etc/passwd".into(), ..base }).is_err());
    }
}
