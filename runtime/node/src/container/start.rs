// SPDX-License-Identifier: Apache-2.0
//! StartContainer: one message to a new shim, which does everything up to execve.
//!
//! What a start waits for may be somebody else's and never come (a mount of a server that is gone). It is given up
//! after [`SETUP_DEADLINE`], or as soon as the container is to be stopped.

use super::{Container, State, spec};
use crate::disk::may_wait;
use crate::error::{Error, Kind, Result};
use crate::node::Node;
use crate::{foreign, ids, pod, records};
use gorae_proto::shim::{End, Start, reply, request::Verb};
use gorae_shims::{Killer, SETUP_DEADLINE, Shim, VERB_DEADLINE};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use tokio::sync::mpsc;

/// The exit code of a container that could not be started.
const START_ERROR_CODE: i32 = 128;

/// Starts a created container.
///
/// # Errors
/// `FailedPrecondition` in any other state or when the pod is not ready; the shim's failure, after which the
/// container has ended with code 128 and reason StartError.
pub async fn start(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    let _turn = container.verb.lock().await;
    let mut given_up = container.begin_start();
    let record = container.record();
    let short = ids::short(&record.id);
    if container.state() == State::Created && node.places.container_run(&record.id).exists() {
        // A daemon before this one was killed in the middle of a start. Its shim may have gone on.
        let found = node.find_shim(container).await;
        found.map_err(|e| e.during(format!("look for an earlier start of container {short}")))?;
        if matches!(container.state(), State::Running { .. }) {
            return Ok(());
        }
    }
    let state = container.state();
    if state != State::Created {
        return Err(Error::precondition(format!("container {short} is {}, not created", state.word())));
    }
    let pod = node.pods.get(&record.pod_id).filter(|p| p.is_ready());
    let Some(pod) = pod else { return Err(Error::precondition(format!("the pod of container {short} is not ready"))) };
    if may_wait(|| pod::pins::lost_shared_memory(node, &pod)) {
        let why =
            format!("the pod of container {short} has lost its shared memory: somebody unmounted it; make a new pod");
        return Err(Error::precondition(why));
    }
    let (of, asked, target) = (node.clone(), record.clone(), pod.clone());
    let order =
        foreign::look("devices and profiles", move || spec::build(&asked, &target, &of.spec_context(&target, &asked)?));
    let order = tokio::select! {
        order = order => order?,
        Ok(()) = &mut given_up => return Err(stopped_meanwhile(short)),
    };
    super::take_over::take_over(node, &record).await?;
    records::make_dir(&node.places.container_run(&record.id))?;
    container.move_to(State::Starting);
    // A stop of the pod looks at its containers after it has made the pod not ready: one of the two sees the other.
    fence(Ordering::SeqCst);
    let spawned = if pod.is_ready() {
        node.spawner.spawn("container", &record.id).map_err(Error::from)
    } else {
        Err(Error::precondition(format!("the pod of container {short} is not ready")))
    };
    let (stream, killer) = spawned.inspect_err(|_| container.back_to_created())?;
    let (events, queue) = mpsc::unbounded_channel();
    let shim = Shim::attach(stream, events);
    container.set_shim(shim.clone());
    tokio::spawn(follow(node.clone(), container.clone(), shim.clone(), queue));
    let answer = tokio::select! {
        answer = ask(node, &shim, order) => answer,
        Ok(()) = &mut given_up => Err(stopped_meanwhile(short)),
    };
    settle(node, container, killer, answer).await.map_err(|e| e.during(format!("start container {short}")))
}

/// Sends the order with the loaded program of its device rules, or keeps the one that the shim has loaded.
async fn ask(node: &Node, shim: &Shim, mut order: Start) -> Result<reply::Body> {
    let loaded = node.device_programs.of(&order.device_rules);
    order.device_program = loaded.is_some();
    let rules = loaded.is_none().then(|| order.device_rules.clone());
    let descriptors: Vec<_> = loaded.iter().map(|program| program.as_fd()).collect();
    let mut answer = shim.call_within(Verb::Start(order), &descriptors, SETUP_DEADLINE).await?;
    if let (reply::Body::Started(started), Some(rules)) = (&answer.body, rules)
        && started.device_program
        && let Some(program) = answer.fds.pop()
    {
        node.device_programs.keep(rules, program);
    }
    Ok(answer.body)
}

fn stopped_meanwhile(short: &str) -> Error {
    Error::deadline(format!("container {short} was to be stopped before its start was done"))
}

async fn settle(
    node: &Arc<Node>,
    container: &Arc<Container>,
    killer: Killer,
    answer: Result<reply::Body>,
) -> Result<()> {
    match answer {
        Ok(reply::Body::Started(started)) => {
            if let Some(state) = &started.state {
                node.shim_said(container, state).await;
            }
            tracing::info!(container = ids::short(&container.record().id), "container is running");
            Ok(())
        }
        Ok(_) => Err(Error::internal("the shim answered something else than Started")),
        Err(error) => {
            // The shim writes EXITED, StartError before it answers; read that, whatever was or was not pushed.
            let id = container.record().id.clone();
            match node.state_on_disk(&id) {
                Ok(Some(state)) if State::from_shim(&state) != State::Starting => {
                    node.shim_said(container, &state).await;
                }
                // It hangs in a mount or a file of somebody else. It is abandoned, and the container has ended.
                _ if error.kind() == Kind::DeadlineExceeded => {
                    killer.kill();
                    if let Err(undo) = node.end_container(container, Some(start_error(&error.to_string()))).await {
                        node.clean_later(container);
                        return Err(error.and_undo_failed(&undo));
                    }
                }
                // It ends, and who follows it decides.
                _ => {
                    let mut watch = container.watch();
                    let decided = watch.wait_for(|state| *state != State::Starting);
                    let _ = tokio::time::timeout(VERB_DEADLINE, decided).await;
                }
            }
            Err(error)
        }
    }
}

/// The end of a container whose start was given up.
pub(crate) fn start_error(why: &str) -> End {
    End { exit_code: START_ERROR_CODE, reason: "StartError".into(), message: why.to_owned() }
}

/// Takes in what a container's shim says until its connection ends, then makes sure the container has ended too.
pub async fn follow(
    node: Arc<Node>,
    container: Arc<Container>,
    shim: Shim,
    mut queue: mpsc::UnboundedReceiver<gorae_shims::ShimEvent>,
) {
    use gorae_shims::ShimEvent;
    while let Some(event) = queue.recv().await {
        match event {
            ShimEvent::State(state) => node.shim_said(&container, &state).await,
            ShimEvent::Gone => break,
        }
    }
    if container.forget_shim(&shim) {
        node.connection_ended(container).await;
    }
}
