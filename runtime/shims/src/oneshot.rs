// SPDX-License-Identifier: Apache-2.0
//! Shims that do one thing, reply and exit: pod set-up, clean-up, dialling into a pod, and checks that need privileges.

use crate::deadline::{SETUP_DEADLINE, VERB_DEADLINE};
use crate::error::{Error, Result};
use crate::socket;
use crate::spawn::Spawner;
use gorae_proto::shim::{
    ChangeNetworks, CleanContainer, CleanPod, ContainerState, DialPod, Frame, LookInImages, Mount, MountBinary,
    MountCgroups, NamesOpened, OpenNames, PinPod, PodReady, Request, SetSysctls, SetupPod, frame::Body, reply,
    request::Verb,
};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Makes a pod's namespaces, cgroup and interfaces.
///
/// # Errors
/// The shim's failure (it has undone its work), or [`Error::TimedOut`] (then [`clean_pod`] must follow).
pub async fn setup_pod(spawner: &Spawner, setup: SetupPod) -> Result<PodReady> {
    let id = setup.pod_id.clone();
    match once(spawner, "setup-pod", &id, Verb::SetupPod(setup), SETUP_DEADLINE).await? {
        (reply::Body::PodReady(ready), _) => Ok(ready),
        (other, _) => Err(Error::unexpected("PodReady", &other)),
    }
}

/// Removes whatever exists of a pod.
///
/// # Errors
/// The shim's failure; it is safe to call again.
pub async fn clean_pod(spawner: &Spawner, clean: CleanPod) -> Result<()> {
    let id = clean.pod_id.clone();
    Error::unless_done(&once(spawner, "clean-pod", &id, Verb::CleanPod(clean), VERB_DEADLINE).await?.0)
}

/// Recreates the pins of a pod's namespaces.
///
/// # Errors
/// The shim's failure: for one of the namespaces, none of the given processes lives in it. No pin is changed then.
pub async fn pin_pod(spawner: &Spawner, pin: PinPod) -> Result<()> {
    let id = pin.pod_id.clone();
    Error::unless_done(&once(spawner, "pin-pod", &id, Verb::PinPod(pin), VERB_DEADLINE).await?.0)
}

/// Cleans up a container whose shim is gone: reads its exit, or kills it, and undoes its mounts.
///
/// # Errors
/// The shim's failure; it is safe to call again.
pub async fn clean_container(spawner: &Spawner, clean: CleanContainer) -> Result<ContainerState> {
    let id = clean.container_id.clone();
    match once(spawner, "clean-container", &id, Verb::CleanContainer(clean), VERB_DEADLINE).await? {
        (reply::Body::State(state), _) => Ok(state),
        (other, _) => Err(Error::unexpected("State", &other)),
    }
}

/// Connects to a port on the loopback interface of a pod's network namespace.
///
/// # Errors
/// The shim's failure, with the port.
pub async fn dial_pod(spawner: &Spawner, pod_id: &str, dial: DialPod) -> Result<OwnedFd> {
    let deadline = Duration::from_millis(u64::from(dial.timeout_ms)) + VERB_DEADLINE;
    let (_, mut fds) = once(spawner, "dial-pod", pod_id, Verb::DialPod(dial), deadline).await?;
    fds.pop().ok_or_else(|| Error::Broken("the shim sent no socket".to_owned()))
}

/// Writes sysctls in a pod's network namespace, whose interfaces were made after the pod.
///
/// # Errors
/// The shim's failure: the first sysctl that the kernel refused.
pub async fn set_sysctls(spawner: &Spawner, pod_id: &str, set: SetSysctls) -> Result<()> {
    Error::unless_done(&once(spawner, "set-sysctls", pod_id, Verb::SetSysctls(set), VERB_DEADLINE).await?.0)
}

/// Opens the sockets of a container's name server, in its network namespace: the datagram socket, then the listening one.
///
/// # Errors
/// The shim's failure; it is safe to call again.
pub async fn open_names(spawner: &Spawner, container_id: &str, open: OpenNames) -> Result<(NamesOpened, [OwnedFd; 2])> {
    match once(spawner, "open-names", container_id, Verb::OpenNames(open), VERB_DEADLINE).await? {
        (reply::Body::NamesOpened(opened), fds) => match <[OwnedFd; 2]>::try_from(fds) {
            Ok(sockets) => Ok((opened, sockets)),
            Err(fds) => Err(Error::Broken(format!("the shim sent {} sockets of a name server, not 2", fds.len()))),
        },
        (other, _) => Err(Error::unexpected("NamesOpened", &other)),
    }
}

/// Gives a pod's network namespace interfaces in networks that people made, and takes some away.
///
/// # Errors
/// The shim's failure (it has undone what it added), or [`Error::TimedOut`]: then host ends may be left.
pub async fn change_networks(spawner: &Spawner, pod_id: &str, change: ChangeNetworks) -> Result<()> {
    let verb = Verb::ChangeNetworks(change);
    Error::unless_done(&once(spawner, "change-networks", pod_id, verb, VERB_DEADLINE).await?.0)
}

/// Checks whether these image volumes can be mounted.
///
/// # Errors
/// The shim's failure for the first one that cannot be mounted.
pub async fn look_in_images(spawner: &Spawner, container_id: &str, volumes: Vec<Mount>) -> Result<()> {
    let verb = Verb::LookInImages(LookInImages { volumes });
    Error::unless_done(&once(spawner, "look-in-images", container_id, verb, VERB_DEADLINE).await?.0)
}

/// Makes a shim that was started by its path mount its own binary, for all later shims.
///
/// # Errors
/// The shim's failure: this kernel, or the file system of the binary, does not allow it.
pub async fn mount_binary(spawner: &Spawner) -> Result<OwnedFd> {
    let verb = Verb::MountBinary(MountBinary {});
    let (_, mut fds) = once(spawner, "mount-binary", "self", verb, VERB_DEADLINE).await?;
    fds.pop().ok_or_else(|| Error::Broken("the shim sent no mount of its binary".to_owned()))
}

/// Makes detached mounts of the cgroup hierarchies. The mounts come in the order of their mount points.
///
/// # Errors
/// The shim's failure, with the mount point.
pub async fn mount_cgroups(spawner: &Spawner, mount_points: Vec<String>) -> Result<Vec<OwnedFd>> {
    let verb = Verb::MountCgroups(MountCgroups { mount_points });
    once(spawner, "mount-cgroups", "self", verb, VERB_DEADLINE).await.map(|(_, mounts)| mounts)
}

async fn once(
    spawner: &Spawner,
    role: &str,
    id: &str,
    verb: Verb,
    deadline: Duration,
) -> Result<(reply::Body, Vec<OwnedFd>)> {
    let (stream, killer) = spawner.spawn(role, id)?;
    let work = async {
        let frame = Frame { body: Some(Body::Request(Request { id: 1, verb: Some(verb) })) };
        socket::send(&stream, &frame, &[]).await?;
        match socket::Reader::default().next(&stream).await? {
            Some((Frame { body: Some(Body::Reply(reply)) }, fds)) => match reply.body {
                Some(reply::Body::Failure(failure)) => Err(Error::Refused(failure)),
                Some(body) => Ok((body, fds)),
                None => Err(Error::Broken(format!("gorae-shim {role} {id}: empty reply"))),
            },
            Some(_) => Err(Error::Broken(format!("gorae-shim {role} {id}: sent something that is not a reply"))),
            None => Err(Error::Broken(format!("gorae-shim {role} {id}: exited without a reply"))),
        }
    };
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => {
            // Nobody waits for it any more, and it holds the pod's lock, which the clean-up that follows needs.
            killer.kill();
            Err(Error::TimedOut(format!("gorae-shim {role} {id}: no reply within {deadline:?}")))
        }
    }
}
