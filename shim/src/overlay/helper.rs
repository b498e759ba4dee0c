// SPDX-License-Identifier: Apache-2.0
//! The overlay for kernels that do not accept layers one by one. A short-lived child with its own mount namespace attaches
//! whatever has to be attached, mounts with the old option string, and passes the mount back detached.

use super::parts::Parts;
use crate::failure::{self, Kind, Result};
use crate::fault::{self, Outcome, Reporter};
use crate::idmap;
use crate::sys::{self, Forked, Single};
use crate::tree::{Reach, clone_path};
use rustix::fs::CWD;
use rustix::mount::{
    MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, mount, mount_change, move_mount,
};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// The kernel's limit for the option string, in bytes, including the terminating NUL.
const OPTIONS: usize = 4096;

/// Builds the overlay in a child.
///
/// # Errors
/// The failure that the child reported, with the layer; `Unimplemented` when the kernel does not take as many layers;
/// `Internal` when the child was killed.
pub fn build(parts: &Parts<'_>, single: Single) -> Result<OwnedFd> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|e| failure::kernel("make socket", "overlay helper", e))?;
    let (watcher, reporter) = fault::channel()?;
    let forked = sys::clone3(single, libc::CLONE_NEWNS as u64, None);
    match forked.map_err(|e| failure::kernel("clone3", "overlay helper", e))? {
        Forked::Child(_) => run(parts, &theirs, &reporter),
        Forked::Parent { pidfd, .. } => {
            drop((reporter, theirs));
            let outcome = watcher.wait();
            let tree = receive(&ours);
            let _ = rustix::process::waitid(
                rustix::process::WaitId::PidFd(pidfd.as_fd()),
                rustix::process::WaitIdOptions::EXITED,
            );
            match (outcome, tree) {
                (Outcome::Failed(failure), _) => Err(failure),
                (_, Some(tree)) => Ok(tree),
                _ => Err(failure::refused(Kind::Internal, "mount overlay", &parts.layers[0], "the helper ended early")),
            }
        }
    }
}

fn run(parts: &Parts<'_>, socket: &OwnedFd, reporter: &Reporter) -> ! {
    match make(parts).and_then(|tree| send(socket, &tree)) {
        Ok(()) => sys::exit_now(0),
        Err(failure) => reporter.fail(failure),
    }
}

fn make(parts: &Parts<'_>) -> Result<OwnedFd> {
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|e| failure::kernel("set propagation", "/", e))?;
    let layers: Vec<OwnedFd> = parts.layers.iter().map(|layer| open_layer(parts, layer)).collect::<Result<_>>()?;
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut options = format!("lowerdir={}", layers.iter().map(name).collect::<Vec<_>>().join(":"));
    let mut writable = Vec::new();
    if let Some((upper, work)) = &parts.upper_and_work {
        writable = vec![open_path(upper)?, open_path(work)?];
        options.push_str(&format!(",upperdir={},workdir={},volatile", name(&writable[0]), name(&writable[1])));
    }
    if options.len() >= OPTIONS {
        let why = format!("{} layers are more than this kernel supports", parts.layers.len());
        return Err(failure::refused(Kind::Unimplemented, "mount overlay", &parts.layers[0], &why));
    }
    // Any directory can serve as the mount point: this namespace ends with the process.
    let point = Path::new(&parts.layers[0]);
    mount(
        "overlay",
        point,
        "overlay",
        MountFlags::empty(),
        Some(std::ffi::CString::new(options).unwrap_or_default().as_c_str()),
    )
    .map_err(|e| failure::kernel("mount overlay", &parts.layers[0], e))?;
    drop(writable);
    clone_path(point, Reach::Top, MountAttrFlags::empty())
}

/// Opens a layer's directory, id-mapped if there is a user namespace. Old kernels accept id-mapped layers only from
/// attached mounts.
fn open_layer(parts: &Parts<'_>, layer: &str) -> Result<OwnedFd> {
    let path = Path::new(layer);
    let Some(user_namespace) = parts.user_namespace else { return open_path(path) };
    let tree = clone_path(path, Reach::Top, MountAttrFlags::empty())?;
    idmap::set(&tree, user_namespace, Reach::Top, layer)?;
    move_mount(&tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| failure::kernel("mount", layer, e))?;
    Ok(tree)
}

fn open_path(path: &Path) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failure::kernel("open layer", path.display().to_string(), e))
}

fn send(socket: &OwnedFd, tree: &OwnedFd) -> Result<()> {
    let rights = [tree.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&rights));
    sendmsg(socket, &[IoSlice::new(b"m")], &mut control, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(|e| failure::kernel("pass", "overlay", e))
}

/// Waits for the child to send the mount; `None` if it exits without sending it.
fn receive(socket: &OwnedFd) -> Option<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    let mut rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    rights.next()?.next()
}
