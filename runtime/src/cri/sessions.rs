// SPDX-License-Identifier: Apache-2.0
//! Exec, Attach and PortForward: each returns a URL for the client to connect to. A request is checked first,
//! because a URL takes one of a few slots until its client connects.

use gorae_node::error::{Error, Result};
use gorae_node::{Objects, ids};
use gorae_proto::cri;
use gorae_streaming::Server;
use tonic::Status;

/// Exec.
///
/// # Errors
/// `InvalidArgument` without a command, `NotFound` for the container, `FailedPrecondition` when it is not running,
/// `Unavailable` while its shim cannot be called; those of [`Server::exec_url`].
pub fn exec(
    objects: &Objects,
    streaming: &Server,
    request: &cri::ExecRequest,
) -> std::result::Result<cri::ExecResponse, Status> {
    if request.cmd.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("cmd is empty").into());
    }
    must_run(objects, &request.container_id)?;
    Ok(cri::ExecResponse { url: streaming.exec_url(request)? })
}

/// Attach.
///
/// # Errors
/// As [`exec`], and `InvalidArgument` when the request and the container differ in `tty`.
pub fn attach(
    objects: &Objects,
    streaming: &Server,
    request: &cri::AttachRequest,
) -> std::result::Result<cri::AttachResponse, Status> {
    must_run(objects, &request.container_id)?;
    let tty = objects.containers.find(&request.container_id)?.record().config.tty;
    if tty != request.tty {
        let why = format!("tty is {} in the request, but {tty} in the container", request.tty);
        return Err(Error::invalid(why).into());
    }
    Ok(cri::AttachResponse { url: streaming.attach_url(request)? })
}

/// PortForward.
///
/// # Errors
/// `NotFound` for the pod, `FailedPrecondition` when it is not ready; those of [`Server::port_forward_url`].
pub fn port_forward(
    objects: &Objects,
    streaming: &Server,
    request: &cri::PortForwardRequest,
) -> std::result::Result<cri::PortForwardResponse, Status> {
    let pod = objects.pods.find(&request.pod_sandbox_id)?;
    if !pod.is_ready() {
        return Err(Error::precondition(format!("pod {} is not ready", ids::short(pod.id()))).into());
    }
    Ok(cri::PortForwardResponse { url: streaming.port_forward_url(request)? })
}

/// Checks that the container runs, which a session needs.
fn must_run(objects: &Objects, id: &str) -> Result<()> {
    objects.containers.find(id)?.running_shim().map(|_| ())
}
