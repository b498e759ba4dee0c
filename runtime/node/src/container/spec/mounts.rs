// SPDX-License-Identifier: Apache-2.0
//! The mounts of a container: the usual ones of a Linux system, the pod's files, then the request's.
//!
//! A mount of the request replaces a usual one at the same place; one at `/dev` or `/sys` replaces everything below
//! as well. The request's are sorted by depth, so that `/a` comes before `/a/b`, and keep their order otherwise.
//! The image's volumes stand among them where nothing else does.

mod volumes;

use super::{Context, clean_path};
use crate::container::Record;
use crate::error::{Error, IMAGE_VOLUME_FAILED, Result};
use crate::pod::{Pod, etc_files};
use gorae_cdi as cdi;
use gorae_proto::cri::{self, MountPropagation, NamespaceMode};
use gorae_proto::shim::{IdMap, Mount, mount::Propagation};

/// Most mounts in one request.
const MAX_MOUNTS: usize = 4096;

/// Builds the whole list, in the order in which they are made.
///
/// # Errors
/// `InvalidArgument` with the mount's destination.
pub fn build(
    record: &Record,
    pod: &Pod,
    node: &Context,
    security: &cri::LinuxContainerSecurityContext,
) -> Result<Vec<Mount>> {
    let mut asked = requested(record, node)?;
    let devices = of_devices(&record.cdi.mounts)?;
    asked.retain(|m| !devices.iter().any(|d| d.destination == m.destination));
    asked.extend(devices);
    asked.sort_by_key(depth);
    let mut usual = usual(pod, node, security.privileged);
    usual.extend(pod_files(pod, node, security.readonly_rootfs));
    usual.retain(|m| !asked.iter().any(|a| replaces(&a.destination, &m.destination)));
    volumes::add(&mut usual, &mut asked, volumes::build(record, pod, node)?);
    usual.extend(asked);
    Ok(usual)
}

/// What the mounts need of the root's propagation.
pub fn root_propagation(asked: &[cri::Mount]) -> &'static str {
    let any = |p: MountPropagation| asked.iter().any(|m| m.propagation() == p);
    if any(MountPropagation::PropagationBidirectional) {
        "shared"
    } else if any(MountPropagation::PropagationHostToContainer) {
        "slave"
    } else {
        "private"
    }
}

fn depth(mount: &Mount) -> usize {
    mount.destination.matches('/').count()
}

fn replaces(asked: &str, usual: &str) -> bool {
    let below = |dir: &str| asked == dir && usual.starts_with(&format!("{dir}/"));
    asked == usual || below("/dev") || below("/sys")
}

fn usual(pod: &Pod, node: &Context, privileged: bool) -> Vec<Mount> {
    let kernel = |filesystem: &str, destination: &str, data: &str| Mount {
        destination: destination.into(),
        source: filesystem.into(),
        filesystem: filesystem.into(),
        data: data.into(),
        nosuid: true,
        ..Mount::default()
    };
    let quiet = |m: Mount| Mount { nodev: true, noexec: true, ..m };
    let mut list = vec![
        quiet(kernel("proc", "/proc", "")),
        kernel("tmpfs", "/dev", "mode=755,size=65536k"),
        Mount { noexec: true, ..kernel("devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5") },
        quiet(kernel("mqueue", "/dev/mqueue", "")),
        shared_memory(pod, node),
    ];
    let host_net_in_user_namespace = !pod.own_network() && pod.user_mapping().is_some();
    if host_net_in_user_namespace {
        list.push(quiet(Mount { readonly: true, recursive_readonly: true, ..host_bind("/sys", "/sys") }));
    } else {
        list.push(quiet(Mount { readonly: !privileged, ..kernel("sysfs", "/sys", "") }));
    }
    list.push(quiet(Mount { readonly: !privileged, relatime: true, ..kernel("cgroup", "/sys/fs/cgroup", "") }));
    list
}

fn shared_memory(pod: &Pod, node: &Context) -> Mount {
    let source = if pod.namespaces().ipc() == NamespaceMode::Node {
        "/dev/shm".to_owned()
    } else {
        node.places.pod_run(pod.id()).join("shm").to_string_lossy().into_owned()
    };
    Mount { nosuid: true, nodev: true, noexec: true, ..host_bind(&source, "/dev/shm") }
}

fn pod_files(pod: &Pod, node: &Context, readonly: bool) -> Vec<Mount> {
    let dir = node.places.pod_root(pod.id());
    let maps = pod.user_mapping();
    etc_files::FILES
        .iter()
        .map(|(name, destination)| Mount {
            readonly,
            uid_mappings: maps.as_ref().map(|m| m.uids.clone()).unwrap_or_default(),
            gid_mappings: maps.as_ref().map(|m| m.gids.clone()).unwrap_or_default(),
            ..host_bind(&dir.join(name).to_string_lossy(), destination)
        })
        .collect()
}

fn host_bind(source: &str, destination: &str) -> Mount {
    Mount {
        destination: destination.into(),
        source: source.into(),
        filesystem: "bind".into(),
        recursive_bind: true,
        ..Mount::default()
    }
}

fn requested(record: &Record, node: &Context) -> Result<Vec<Mount>> {
    let asked = &record.config.mounts;
    if asked.len() > MAX_MOUNTS {
        return Err(Error::invalid(format!("mounts: more than {MAX_MOUNTS}")));
    }
    let mut list = Vec::with_capacity(asked.len());
    for (index, mount) in asked.iter().enumerate() {
        let at = format!("mount at {:?}", mount.container_path);
        let mount = one(record, index, mount).map_err(|e| e.during(at))?;
        // It was there, or was made, at create: what has vanished since is made again.
        let create_source = node.make_missing_sources && mount.filesystem == "bind";
        list.push(Mount { create_source, ..mount });
    }
    Ok(list)
}

/// Mounts that CDI devices bring; the last at a place counts, and it wins over the request's.
fn of_devices(asked: &[cdi::Mount]) -> Result<Vec<Mount>> {
    let mut list: Vec<Mount> = Vec::with_capacity(asked.len());
    for mount in asked {
        let made = of_device(mount).map_err(|e| e.during(format!("CDI mount at {:?}", mount.container_path)))?;
        list.retain(|m| m.destination != made.destination);
        list.push(made);
    }
    Ok(list)
}

fn of_device(asked: &cdi::Mount) -> Result<Mount> {
    let destination = clean_path("containerPath", &asked.container_path)?;
    if destination == "/" {
        return Err(Error::invalid("the root itself cannot be mounted over"));
    }
    let mut mount = match asked.kind.as_str() {
        "" | "bind" | "none" => host_bind(&asked.host_path, &destination),
        "tmpfs" => Mount { destination, source: "tmpfs".into(), filesystem: "tmpfs".into(), ..Mount::default() },
        other => return Err(Error::invalid(format!("type {other:?} is neither a bind mount nor tmpfs"))),
    };
    let mut data = Vec::new();
    for option in &asked.options {
        match option.as_str() {
            "ro" => mount.readonly = true,
            "rro" => (mount.readonly, mount.recursive_readonly) = (true, true),
            "nosuid" => mount.nosuid = true,
            "nodev" => mount.nodev = true,
            "noexec" => mount.noexec = true,
            "bind" => mount.recursive_bind = false,
            "rslave" | "slave" => mount.propagation = Propagation::Slave.into(),
            "rshared" | "shared" => mount.propagation = Propagation::Shared.into(),
            "rw" | "suid" | "dev" | "exec" | "rbind" | "rprivate" | "private" | "relatime" | "defaults" => {}
            other if mount.filesystem == "tmpfs" && TMPFS.iter().any(|key| other.starts_with(key)) => data.push(other),
            other => return Err(Error::invalid(format!("option {other:?} is not served"))),
        }
    }
    mount.data = data.join(",");
    Ok(mount)
}

/// Options of tmpfs that say what it is, not how it is mounted.
const TMPFS: [&str; 5] = ["size=", "mode=", "nr_inodes=", "uid=", "gid="];

fn one(record: &Record, index: usize, mount: &cri::Mount) -> Result<Mount> {
    let destination = clean_path("container_path", &mount.container_path)?;
    if destination == "/" {
        return Err(Error::invalid("container_path: the root itself cannot be mounted over"));
    }
    check_recursive_readonly(mount)?;
    let flags = options(&mount.mount_options)?;
    let propagation = match MountPropagation::try_from(mount.propagation) {
        Ok(MountPropagation::PropagationPrivate) => Propagation::Private,
        Ok(MountPropagation::PropagationHostToContainer) => Propagation::Slave,
        Ok(MountPropagation::PropagationBidirectional) => Propagation::Shared,
        Err(_) => return Err(Error::invalid(format!("propagation: {} is none", mount.propagation))),
    };
    let base = Mount {
        readonly: mount.readonly,
        recursive_readonly: mount.recursive_read_only,
        nosuid: flags.nosuid,
        nodev: flags.nodev,
        noexec: flags.noexec,
        propagation: propagation.into(),
        uid_mappings: id_maps("uidMappings", &mount.uid_mappings)?,
        gid_mappings: id_maps("gidMappings", &mount.gid_mappings)?,
        ..host_bind(&mount.host_path, &destination)
    };
    if mount.image.is_some() {
        let volume = image_volume(record, index, mount, base);
        return volume.map_err(|e| e.beginning_with(IMAGE_VOLUME_FAILED));
    }
    // Beside a host path image_sub_path means nothing: kubelet 1.36 sends the volume's subPath in it, which host_path
    // has already.
    if !mount.host_path.starts_with('/') || mount.host_path.contains('\0') {
        let shown = &mount.host_path[..mount.host_path.floor_char_boundary(200)];
        return Err(Error::invalid(format!("host_path: {shown:?} is not an absolute path")));
    }
    Ok(base)
}

fn image_volume(record: &Record, index: usize, mount: &cri::Mount, base: Mount) -> Result<Mount> {
    if !mount.host_path.is_empty() {
        return Err(Error::invalid("host_path and image are both set"));
    }
    if !mount.readonly {
        return Err(Error::invalid("an image volume must be readonly"));
    }
    if mount.image_sub_path.split('/').any(|p| p == "..") || mount.image_sub_path.contains('\0') {
        return Err(Error::invalid(format!("image_sub_path: {:?} leaves the image", mount.image_sub_path)));
    }
    let volume = record
        .image_mounts
        .iter()
        .find(|m| m.index == index)
        .ok_or_else(|| Error::internal("the image of the volume was not resolved"))?;
    Ok(Mount {
        source: String::new(),
        filesystem: "image".into(),
        image_layers: volume.layers.iter().map(|l| l.to_string_lossy().into_owned()).collect(),
        source_layer_path: mount.image_sub_path.clone(),
        uid_mappings: Vec::new(),
        gid_mappings: Vec::new(),
        ..base
    })
}

fn check_recursive_readonly(mount: &cri::Mount) -> Result<()> {
    if !mount.recursive_read_only {
        return Ok(());
    }
    if !mount.readonly {
        return Err(Error::invalid("recursive_read_only needs readonly (RROUnsupported)"));
    }
    if mount.propagation() != MountPropagation::PropagationPrivate {
        return Err(Error::invalid("recursive_read_only needs private propagation (RROUnsupported)"));
    }
    Ok(())
}

#[derive(Default)]
struct Flags {
    nosuid: bool,
    nodev: bool,
    noexec: bool,
}

fn options(asked: &[String]) -> Result<Flags> {
    let mut flags = Flags::default();
    for option in asked {
        match option.as_str() {
            "nosuid" => flags.nosuid = true,
            "nodev" => flags.nodev = true,
            "noexec" => flags.noexec = true,
            other => return Err(Error::invalid(format!("mount_options: {other:?} is not noexec, nodev or nosuid"))),
        }
    }
    Ok(flags)
}

fn id_maps(field: &str, asked: &[cri::IdMapping]) -> Result<Vec<IdMap>> {
    asked
        .iter()
        .map(|m| {
            let fits = m.length > 0
                && m.host_id.checked_add(m.length - 1).is_some()
                && m.container_id.checked_add(m.length - 1).is_some();
            if fits {
                Ok(IdMap { container_id: m.container_id, host_id: m.host_id, length: m.length })
            } else {
                Err(Error::invalid(format!("{field}: a mapping is empty or leaves the range of ids")))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str) -> cri::Mount {
        cri::Mount { container_path: path.into(), host_path: "/srv".into(), ..Default::default() }
    }

    #[test]
    fn a_mount_of_the_request_replaces_the_usual_one() {
        assert!(replaces("/dev", "/dev/pts") && replaces("/dev", "/dev") && replaces("/sys", "/sys/fs/cgroup"));
        assert!(!replaces("/dev", "/device") && !replaces("/proc", "/proc/x") && !replaces("/dev/shm", "/dev"));
    }

    #[test]
    fn recursive_readonly_has_its_conditions() {
        let rro = |readonly, propagation: MountPropagation| {
            check_recursive_readonly(&cri::Mount {
                recursive_read_only: true,
                readonly,
                propagation: propagation.into(),
                ..mount("/a")
            })
        };
        assert!(rro(true, MountPropagation::PropagationPrivate).is_ok());
        for bad in [
            rro(false, MountPropagation::PropagationPrivate),
            rro(true, MountPropagation::PropagationBidirectional),
            rro(true, MountPropagation::PropagationHostToContainer),
        ] {
            assert!(bad.expect_err("refused").to_string().contains("RROUnsupported"));
        }
    }

    #[test]
    fn a_mount_of_a_device_has_the_options_that_its_file_says() {
        let asked = |kind: &str, options: &[&str]| cdi::Mount {
            host_path: "/lib/a".into(),
            container_path: "/lib//a/".into(),
            kind: kind.into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        };
        let bind = of_device(&asked("", &["ro", "nosuid", "nodev", "rbind", "rprivate"])).expect("usual");
        assert!(bind.readonly && bind.nosuid && bind.nodev && bind.recursive_bind && !bind.noexec);
        assert_eq!((bind.source.as_str(), bind.destination.as_str()), ("/lib/a", "/lib/a"));
        assert_eq!(of_device(&asked("tmpfs", &["size=1m", "mode=755"])).expect("tmpfs").data, "size=1m,mode=755");
        for (kind, options) in [("ext4", &[][..]), ("", &["size=1m"]), ("", &["umask=0"]), ("tmpfs", &["x"])] {
            assert!(of_device(&asked(kind, options)).is_err(), "{kind} {options:?}");
        }
        let twice = of_devices(&[asked("", &[]), asked("", &["ro"])]).expect("fine");
        assert!(twice.len() == 1 && twice[0].readonly, "{twice:?}");
    }

    #[test]
    fn only_known_mount_options_pass() {
        assert!(options(&["noexec".into(), "nodev".into(), "nosuid".into()]).is_ok_and(|f| f.noexec && f.nodev));
        assert!(options(&["suid".into()]).is_err());
    }
}
