// SPDX-License-Identifier: Apache-2.0
//! The streaming server's backend: it starts execs, attaches to stdio and dials ports, each with one message to a shim.
//!
//! A session's bytes flow between the client's connection and the process; neither the shim nor this file sees them.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gorae_node::container::exec::{ended_meanwhile, lost, not_started};
use gorae_node::container::{self, Container, State};
use gorae_node::error::{Error, Result};
use gorae_node::{Machine, Objects};
use gorae_proto::shim::{Attach, DialPod, Exec};
use gorae_shims::{self as shims, Running, Shim, Streams, VERB_DEADLINE};
use gorae_streaming::{AttachRequest, Backend, Control, ExecRequest, Process, TerminalSize};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tonic::Status;

/// How long connecting to a port inside a pod may take.
const DIAL_TIMEOUT_MS: u32 = 10_000;
/// The signal for a terminal that was hung up.
const SIGHUP: i32 = 1;

/// The pods and containers as the streaming server's backend.
#[derive(Debug, Clone)]
pub struct Sessions {
    objects: Arc<Objects>,
    machine: Arc<Machine>,
}

impl Sessions {
    /// Sessions with these pods and containers.
    pub fn new(objects: Arc<Objects>, machine: Arc<Machine>) -> Self {
        Self { objects, machine }
    }

    async fn start_exec(&self, request: ExecRequest) -> Result<Process> {
        let container = self.objects.containers.find(&request.container_id)?;
        let shim = container.running_shim()?;
        let mut pipes = Pipes::for_exec(&request)?;
        let size = request.size.unwrap_or(TerminalSize { width: 0, height: 0 });
        let order = Exec {
            args: request.command.into_iter().map(String::into_bytes).collect(),
            tty: request.tty,
            stdin: request.stdin && !request.tty,
            stdout: request.stdout && !request.tty,
            stderr: request.stderr && !request.tty,
            rows: size.height.into(),
            columns: size.width.into(),
            ..Exec::default()
        };
        let theirs: Vec<BorrowedFd<'_>> = pipes.theirs.iter().map(AsFd::as_fd).collect();
        let Running { exec, terminal, exit } = shim.exec(order, &theirs, VERB_DEADLINE).await.map_err(not_started)?;
        drop(theirs);
        pipes.theirs.clear();
        Ok(Process {
            stdin: pipes.stdin,
            stdout: pipes.stdout,
            stderr: pipes.stderr,
            tty: terminal,
            stdin_once: false,
            control: Box::new(Remote { shim, exec }),
            exit: exit.claim().map(move |e| e.map(|e| e.exit_code).map_err(|_| lost().into())).boxed(),
        })
    }

    async fn start_attach(&self, request: AttachRequest) -> Result<Process> {
        let container = self.objects.containers.find(&request.container_id)?;
        let record = container.record();
        if request.tty != record.config.tty {
            return Err(Error::precondition(format!(
                "attach: tty is {} in the request, but {} in the container",
                request.tty, record.config.tty
            )));
        }
        let shim = container.running_shim()?;
        let asked = Attach {
            stdin: request.stdin && record.config.stdin,
            stdout: request.stdout,
            stderr: request.stderr && !request.tty,
        };
        let (streams, tty) = if request.tty {
            (Streams::default(), Some(shim.attach_terminal(asked).await.map_err(ended_meanwhile)?))
        } else {
            (shim.attach_streams(asked).await.map_err(ended_meanwhile)?, None)
        };
        Ok(Process {
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
            tty,
            stdin_once: record.config.stdin_once,
            control: Box::new(Remote { shim, exec: 0 }),
            exit: container_exit(&container),
        })
    }

    async fn connect(&self, pod_id: &str, port: u16) -> Result<OwnedFd> {
        let pod = self.objects.pods.find(pod_id)?;
        if !pod.is_ready() {
            return Err(Error::precondition("the pod is not ready: it was stopped"));
        }
        let netns = if pod.own_network() {
            pod.record.pin(&self.machine.places.pod_run(pod.id()), "net").to_string_lossy().into_owned()
        } else {
            String::new()
        };
        let dial = DialPod { netns, port: port.into(), timeout_ms: DIAL_TIMEOUT_MS };
        Ok(shims::dial_pod(&self.machine.spawner, pod.id(), dial).await?)
    }
}

impl Backend for Sessions {
    async fn exec(&self, request: ExecRequest) -> std::result::Result<Process, Status> {
        Ok(self.start_exec(request).await?)
    }

    async fn attach(&self, request: AttachRequest) -> std::result::Result<Process, Status> {
        Ok(self.start_attach(request).await?)
    }

    async fn dial(&self, pod_sandbox_id: &str, port: u16) -> std::result::Result<OwnedFd, Status> {
        Ok(self.connect(pod_sandbox_id, port).await?)
    }
}

/// Both ends of an exec's pipes; `theirs` go to the process.
#[derive(Default)]
struct Pipes {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    theirs: Vec<OwnedFd>,
}

impl Pipes {
    fn for_exec(request: &ExecRequest) -> Result<Self> {
        let mut pipes = Self::default();
        if request.tty {
            return Ok(pipes);
        }
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::internal(format!("make a pipe: {e}")));
        if request.stdin {
            let (reader, writer) = pipe()?;
            pipes.stdin = Some(writer);
            pipes.theirs.push(reader);
        }
        if request.stdout {
            let (reader, writer) = pipe()?;
            pipes.stdout = Some(reader);
            pipes.theirs.push(writer);
        }
        if request.stderr {
            let (reader, writer) = pipe()?;
            pipes.stderr = Some(reader);
            pipes.theirs.push(writer);
        }
        Ok(pipes)
    }
}

fn container_exit(container: &Arc<Container>) -> BoxFuture<'static, std::result::Result<i32, Status>> {
    let mut watch = container.watch();
    async move {
        let ended = watch.wait_for(|s| matches!(s, State::Exited(_))).await;
        match ended.as_deref() {
            Ok(State::Exited(container::Exit { code, .. })) => Ok(*code),
            _ => Err(Status::internal("the container's exit code is not known")),
        }
    }
    .boxed()
}

/// A process, by its number in its shim; exec 0 is the container's first process.
struct Remote {
    shim: Shim,
    exec: u64,
}

impl Control for Remote {
    fn resize(&self, size: TerminalSize) -> BoxFuture<'_, ()> {
        async move {
            if let Err(error) = self.shim.resize(self.exec, size.height.into(), size.width.into()).await {
                tracing::debug!(%error, "cannot resize the terminal");
            }
        }
        .boxed()
    }

    fn hang_up(&self) {
        let (shim, exec) = (self.shim.clone(), self.exec);
        tokio::spawn(async move { shim.signal(exec, SIGHUP).await });
    }
}
