// SPDX-License-Identifier: Apache-2.0
//! `gorae-shim ROLE ID`: does what the first request on descriptor 0 asks.
//!
//! The role repeats on the command line what the request says, so that `ps` shows what the process is for. A request
//! for another role is refused.

use gorae_shim::clean;
use gorae_shim::connection::{Connection, Incoming};
use gorae_shim::failure::{self, Kind};
use gorae_shim::pod;
use gorae_shim::sys::{self, Single};
use gorae_shim::wire::{Dialed, Done, reply, request::Verb};
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
    sys::find_title();
    let Some(socket) = take_socket() else {
        eprintln!("gorae-shim is started by goraed, with a socket as descriptor 0");
        return ExitCode::from(2);
    };
    sys::prepare_signals();
    // The modes given below are meant as they stand, whatever umask the daemon was started with.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // The kernel names a process after the path it was started from, which here is that of a descriptor.
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

fn serve(role: &str, mut connection: Connection, incoming: Incoming, single: Single) -> ExitCode {
    let Incoming { request, descriptors } = incoming;
    let id = request.id;
    let answer = match (role, request.verb) {
        ("container", Some(Verb::Start(start))) => {
            return match gorae_shim::serve::run(connection, id, start, descriptors, single) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        ("setup-pod", Some(Verb::SetupPod(setup))) => pod::Setup::checked(setup)
            .and_then(|setup| pod::setup(setup, single))
            .map(|ready| (reply::Body::PodReady(ready), Vec::new())),
        ("clean-pod", Some(Verb::CleanPod(clean))) => {
            let clean = match pod::Clean::checked(clean) {
                Ok(clean) => clean,
                Err(failure) => return send(&mut connection, id, Err(failure)),
            };
            let answer = pod::clean(&clean).map(|()| (reply::Body::Done(Done {}), Vec::new()));
            let code = send(&mut connection, id, answer);
            pod::see_off_interface(&clean);
            return code;
        }
        ("pin-pod", Some(Verb::PinPod(pin))) => {
            pod::Pins::checked(pin).and_then(|pins| pod::pin(&pins)).map(|()| (reply::Body::Done(Done {}), Vec::new()))
        }
        ("dial-pod", Some(Verb::DialPod(dial))) => pod::Dial::checked(dial)
            .and_then(|dial| pod::dial(&dial))
            .map(|socket| (reply::Body::Dialed(Dialed {}), vec![socket])),
        ("mount-binary", Some(Verb::MountBinary(_))) => {
            gorae_shim::binary::detached().map(|mount| (reply::Body::Done(Done {}), vec![mount]))
        }
        ("look-in-images", Some(Verb::LookInImages(look))) => {
            gorae_shim::mounts::look_in_images(look, single).map(|()| (reply::Body::Done(Done {}), Vec::new()))
        }
        ("mount-cgroups", Some(Verb::MountCgroups(mount))) => {
            gorae_shim::cgroup::detached(mount).map(|mounts| (reply::Body::Done(Done {}), mounts))
        }
        ("clean-container", Some(Verb::CleanContainer(clean))) => {
            clean::Leftover::checked(clean).and_then(clean::clean).map(|state| (reply::Body::State(state), Vec::new()))
        }
        _ => Err(failure::refused(Kind::InvalidArgument, "serve", role, "the request is not this role's")),
    };
    send(&mut connection, id, answer)
}

type Answer = failure::Result<(reply::Body, Vec<OwnedFd>)>;

fn send(connection: &mut Connection, id: u64, answer: Answer) -> ExitCode {
    let (body, descriptors) = answer.unwrap_or_else(|failure| (reply::Body::Failure(failure), Vec::new()));
    match connection.reply(id, body, descriptors) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
