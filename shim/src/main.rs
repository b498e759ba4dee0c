// SPDX-License-Identifier: Apache-2.0
//! `gorae-shim ROLE ID`: serves the first request on descriptor 0, and for three roles those that follow.
//!
//! The role on the command line repeats the request's, so that `ps` shows what the process does. A request for another
//! role is refused.

use gorae_shim::binary;
use gorae_shim::cgroup;
use gorae_shim::clean;
use gorae_shim::connection::{Connection, Incoming};
use gorae_shim::failure::{self, Failure, Kind};
use gorae_shim::mounts;
use gorae_shim::names;
use gorae_shim::plugin;
use gorae_shim::pod;
use gorae_shim::sys::{self, Single};
use gorae_shim::wire::{Dialed, Done, Request, RunPlugin, reply, request::Verb};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let role = std::env::args().nth(1).unwrap_or_default();
    // Descriptors that the daemon or its parent left open must not reach a container.
    let single = match Single::begin() {
        Ok(single) => single,
        Err(e) => {
            eprintln!("gorae-shim: close inherited descriptors: {e}");
            return ExitCode::FAILURE;
        }
    };
    let Some(socket) = take_socket() else {
        eprintln!("gorae-shim is started by goraed, with a socket as descriptor 0");
        return ExitCode::from(2);
    };
    sys::prepare_signals();
    // The modes used below are exact, whatever umask the daemon was started with.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // The kernel names a process after the path it was started from, which here is a descriptor's.
    let _ = rustix::thread::set_name(c"gorae-shim");
    let mut connection = Connection::new(socket);
    // If the daemon goes away before its first request, there is nothing to do and nothing to undo.
    let Ok(incoming) = connection.receive() else { return ExitCode::SUCCESS };
    serve(&role, connection, incoming, single)
}

/// Takes the daemon's socket from descriptor 0 and puts the null device there instead.
fn take_socket() -> Option<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    rustix::net::sockopt::socket_type(stdin).ok()?;
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3).ok()?;
    rustix::stdio::dup2_stdin(gorae_shim::devices::open_null().ok()?).ok()?;
    Some(socket)
}

/// Serves the request if it belongs to the role. All roles but three (a container's shim, the name server, the plugins') send one reply
/// and exit.
fn serve(role: &str, mut connection: Connection, incoming: Incoming, single: Single) -> ExitCode {
    let Incoming { request, descriptors } = incoming;
    let id = request.id;
    match (role, request.verb) {
        ("container", Some(Verb::Start(start))) => {
            match gorae_shim::serve::run(connection, id, start, descriptors, single) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        ("clean-pod", Some(Verb::CleanPod(request))) => {
            let clean = match pod::Clean::checked(request) {
                Ok(clean) => clean,
                Err(failure) => return send(&mut connection, id, Err(failure)),
            };
            let code = send(&mut connection, id, pod::clean(&clean).map(done));
            pod::see_off_interface(&clean);
            code
        }
        ("serve-names", Some(Verb::ServeNames(request))) => match names::serve(connection, id, request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        ("run-plugin", Some(Verb::RunPlugin(first))) => run_plugins(connection, id, first),
        (role, verb) => send(&mut connection, id, answer(role, verb, single)),
    }
}

/// Runs one plugin after the other, until the daemon closes the connection.
fn run_plugins(mut connection: Connection, mut id: u64, mut request: RunPlugin) -> ExitCode {
    let mut series = plugin::Series::default();
    loop {
        let ran = plugin::Plugin::checked(request).and_then(|plugin| series.run(&plugin));
        let code = send(&mut connection, id, ran.map(|ran| (reply::Body::PluginRan(ran), Vec::new())));
        (id, request) = match connection.receive() {
            Ok(Incoming { request: Request { id, verb: Some(Verb::RunPlugin(next)) }, .. }) => (id, next),
            Ok(Incoming { request: Request { id, .. }, .. }) => {
                return send(&mut connection, id, Err(foreign("run-plugin")));
            }
            Err(_) => return code,
        };
    }
}

fn foreign(role: &str) -> Failure {
    failure::refused(Kind::InvalidArgument, "serve", role, "the request does not belong to this role")
}

fn answer(role: &str, verb: Option<Verb>, single: Single) -> Answer {
    match (role, verb) {
        ("setup-pod", Some(Verb::SetupPod(setup))) => {
            let ready = pod::setup(pod::Setup::checked(setup)?, single)?;
            Ok((reply::Body::PodReady(ready), Vec::new()))
        }
        ("pin-pod", Some(Verb::PinPod(pins))) => pod::pin(&pod::Pins::checked(pins)?).map(done),
        ("dial-pod", Some(Verb::DialPod(dial))) => {
            let socket = pod::dial(&pod::Dial::checked(dial)?)?;
            Ok((reply::Body::Dialed(Dialed {}), vec![socket]))
        }
        ("mount-binary", Some(Verb::MountBinary(_))) => Ok((reply::Body::Done(Done {}), vec![binary::detached()?])),
        ("look-in-images", Some(Verb::LookInImages(look))) => mounts::look_in_images(look, single).map(done),
        ("mount-cgroups", Some(Verb::MountCgroups(mount))) => {
            Ok((reply::Body::Done(Done {}), cgroup::detached(mount)?))
        }
        ("open-names", Some(Verb::OpenNames(open))) => {
            let (opened, sockets) = names::open(&names::Open::checked(open)?)?;
            Ok((reply::Body::NamesOpened(opened), sockets))
        }
        ("set-sysctls", Some(Verb::SetSysctls(set))) => pod::set_sysctls(&pod::Sysctls::checked(set)?).map(done),
        ("change-networks", Some(Verb::ChangeNetworks(change))) => {
            pod::change_networks(&pod::NetworkChange::checked(change)?).map(done)
        }
        ("clean-container", Some(Verb::CleanContainer(request))) => {
            let state = clean::clean(clean::Leftover::checked(request)?)?;
            Ok((reply::Body::State(state), Vec::new()))
        }
        _ => Err(foreign(role)),
    }
}

fn done((): ()) -> (reply::Body, Vec<OwnedFd>) {
    (reply::Body::Done(Done {}), Vec::new())
}

type Answer = failure::Result<(reply::Body, Vec<OwnedFd>)>;

fn send(connection: &mut Connection, id: u64, answer: Answer) -> ExitCode {
    let (body, descriptors) = answer.unwrap_or_else(|failure| (reply::Body::Failure(failure), Vec::new()));
    match connection.reply(id, body, descriptors) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
