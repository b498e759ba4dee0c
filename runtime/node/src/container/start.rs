// SPDX-License-Identifier: Apache-2.0
//! StartContainer: one message to a new shim, which does everything up to execve.
//!
//! A start may wait forever for something that is not ours, such as a mount from a dead server. It is given up after
//! [`shims::SETUP_DEADLINE`], or as soon as the container is stopped.

use super::order::{self, facts::Facts};
use super::{Container, Line, Start, State};
use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::keeper::{Keeper, start_error};
use crate::node::Node;
use crate::objects::Objects;
use crate::places::Places;
use crate::pod::{self, Pod};
use crate::{disposable, ids, records};
use gorae_proto::shim::{self as wire, Started};
use gorae_shims::{self as shims, DevicePrograms, Killer, Shim, Spawner, VERB_DEADLINE};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use tokio::sync::mpsc;

/// Starts a created container.
///
/// # Errors
/// `FailedPrecondition` in any other state, or when the pod is not ready; the shim's failure, after which the container has
/// ended with code 128 and reason StartError.
pub async fn start(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    let _verb = container.verb.lock().await;
    let short = ids::short(&container.record().id).to_owned();
    if find_earlier(&node.keeper, &node.machine.places, container).await? {
        return Ok(());
    }
    let mut begun = Start::begin(container).ok_or_else(|| not_created(container, &short))?;
    let pod = ready_pod(&node.objects, &node.machine.places, container)?;
    let order = build_order(node, container, &pod, &mut begun, &short).await?;
    let (shim, killer) = spawn(&node.keeper, &node.machine.spawner, container, &pod)?;
    let answer = tokio::select! {
        answer = ask(&node.machine.device_programs, &shim, order) => answer,
        () = begun.given_up() => Err(Failed::Unanswered(stopped_meanwhile(&short))),
    };
    settle(&node.keeper, container, killer, answer).await.map_err(|e| e.during(format!("start container {short}")))
}

/// Looks for the shim of a start during which an earlier daemon was killed; true when that start has succeeded.
async fn find_earlier(keeper: &Arc<Keeper>, places: &Places, container: &Arc<Container>) -> Result<bool> {
    let record = container.record();
    let short = ids::short(&record.id);
    if container.state() == State::Created && places.container_run(&record.id).exists() {
        keeper.reconnect(container).await;
        if container.look_at_line(|line| matches!(line, Line::Looking)) {
            let why = format!("look for an earlier start of container {short}: its shim cannot be reached; try again");
            return Err(Error::new(Kind::Unavailable, why));
        }
        if container.is_running() {
            return Ok(true);
        }
    }
    if container.state() == State::Created { Ok(false) } else { Err(not_created(container, short)) }
}

fn not_created(container: &Container, short: &str) -> Error {
    Error::precondition(format!("container {short} is {}, not created", container.state().word()))
}

fn ready_pod(objects: &Objects, places: &Places, container: &Container) -> Result<Arc<Pod>> {
    let record = container.record();
    let short = ids::short(&record.id);
    let pod = objects.pods.get(&record.pod_id).filter(|pod| pod.is_ready());
    let pod = pod.ok_or_else(|| not_ready(short))?;
    if disk::blocking(|| pod::shared_memory::is_lost(places, &pod)) {
        let why = format!("the shared memory of the pod of container {short} was unmounted; make a new pod");
        return Err(Error::precondition(why));
    }
    Ok(pod)
}

fn not_ready(short: &str) -> Error {
    Error::precondition(format!("the pod of container {short} is not ready"))
}

/// Builds the shim's order, and makes the directories that the shim works in.
async fn build_order(
    node: &Arc<Node>,
    container: &Container,
    pod: &Arc<Pod>,
    begun: &mut Start<'_>,
    short: &str,
) -> Result<wire::Start> {
    let record = container.record();
    let facts = Facts::of(&node.machine, &node.objects, node.settings.missing_host_path, &record)?;
    let asked = (record.clone(), pod.clone(), facts);
    let order =
        disposable::probe("devices and profiles", asked, |(record, pod, facts)| order::message(&record, &pod, &facts));
    let order = tokio::select! {
        order = order => order?,
        () = begun.given_up() => return Err(stopped_meanwhile(short)),
    };
    super::take_over::take_over(&node.objects, &node.machine.places, &record).await?;
    records::make_dir(&node.machine.places.container_run(&record.id))?;
    Ok(order)
}

/// Starts the shim; from now on the container is Starting.
fn spawn(keeper: &Arc<Keeper>, spawner: &Spawner, container: &Arc<Container>, pod: &Pod) -> Result<(Shim, Killer)> {
    let record = container.record();
    let short = ids::short(&record.id);
    container.move_to(State::Starting);
    // Pairs with the fence in the pod's stop, which makes the pod not ready and then looks at its containers: either that
    // stop sees this container as starting, or this start sees the pod as not ready.
    fence(Ordering::SeqCst);
    let spawned = if pod.is_ready() {
        spawner.spawn("container", &record.id).map_err(Error::from)
    } else {
        Err(not_ready(short))
    };
    let (stream, killer) = spawned.inspect_err(|_| container.back_to_created())?;
    let (events, said) = mpsc::channel(gorae_shims::QUEUED_EVENTS);
    let shim = Shim::new(stream, events);
    if !keeper.attach(container, shim.clone(), said) {
        killer.kill();
        return Err(stopped_meanwhile(short));
    }
    Ok((shim, killer))
}

/// Why a start failed.
enum Failed {
    /// The shim hangs in a mount or a file that is not ours, or the start was given up.
    Unanswered(Error),
    /// The shim reported a failure, or has ended.
    Refused(Error),
}

/// Sends the order.
async fn ask(programs: &DevicePrograms, shim: &Shim, order: wire::Start) -> std::result::Result<Started, Failed> {
    shim.start(order, programs).await.map_err(|error| match error {
        shims::Error::TimedOut(_) => Failed::Unanswered(error.into()),
        _ => Failed::Refused(error.into()),
    })
}

fn stopped_meanwhile(short: &str) -> Error {
    Error::deadline(format!("container {short} was stopped before its start was done"))
}

/// Brings the container into the state that the reply implies.
async fn settle(
    keeper: &Arc<Keeper>,
    container: &Arc<Container>,
    killer: Killer,
    answer: std::result::Result<Started, Failed>,
) -> Result<()> {
    let failed = match answer {
        Ok(started) => {
            if let Some(state) = &started.state {
                keeper.said(container, state).await;
            }
            tracing::info!(container = ids::short(&container.record().id), "container is running");
            return Ok(());
        }
        Err(failed) => failed,
    };
    // The shim writes EXITED, StartError before it replies. Read that, whether or not it was pushed.
    let on_disk = keeper.state_on_disk(&container.record().id);
    let decided = on_disk.ok().flatten().filter(|state| State::from_shim(state) != State::Starting);
    if let Some(state) = &decided {
        keeper.said(container, state).await;
    }
    match (failed, decided) {
        (Failed::Unanswered(error) | Failed::Refused(error), Some(_)) => Err(error),
        // The shim is abandoned, and the container has ended.
        (Failed::Unanswered(error), None) => {
            killer.kill();
            match keeper.settle(container, Some(start_error(&error.to_string()))).await {
                Ok(()) => Err(error),
                Err(undo) => Err(error.and_undo_failed(&undo)),
            }
        }
        // The shim exits, and the keeper decides.
        (Failed::Refused(error), None) => {
            let mut watch = container.watch();
            let decided = watch.wait_for(|state| *state != State::Starting);
            let _ = tokio::time::timeout(VERB_DEADLINE, decided).await;
            Err(error)
        }
    }
}
