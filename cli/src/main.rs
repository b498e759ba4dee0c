// SPDX-License-Identifier: Apache-2.0
//! `gorae`: the command line for people, over the daemon's CRI socket.
//!
//! The program keeps no state of its own: it asks the daemon for everything, and marks what it makes with labels.
//!
//! ```text
//! arguments → commands/VERB.rs → resolving, running, foreground … → client, session → the daemon
//!                  parse (pure)     cri_config (pure)               streaming         its streaming server
//! ```

#![forbid(unsafe_code)]

mod arguments;
mod batch;
mod client;
mod clock;
mod commands;
mod context;
mod creation;
mod credentials;
mod cri_config;
mod docker_verbs;
mod ending;
mod environment;
mod exit;
mod failure;
mod foreground;
mod labels;
mod log_dir;
mod logs;
mod lookup;
mod names;
mod networks;
mod output;
mod parse;
mod pod_network;
mod port_holder;
mod progress;
mod pulling;
mod removal;
mod resolving;
mod resource_usage;
mod run_spec;
mod running;
mod session;
mod states;
mod stored_config;
mod streaming;

use arguments::Arguments;
use clap::Parser;
use environment::{DEFAULT_HOST, Environment};
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(error),
    };
    let environment = Environment::read();
    let host = arguments.host.or_else(|| environment.variable("GORAE_HOST").filter(|host| !host.is_empty()));
    let context = context::Context {
        host: host.unwrap_or_else(|| DEFAULT_HOST.to_owned()),
        output: Output { format: arguments.format, quiet: arguments.quiet },
        environment,
    };
    // Two threads: one can wait for a slow reader of the output while the other handles signals.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("start the async runtime")),
    };
    let result = runtime.block_on(arguments.command.run(&context));
    // A thread that still waits for standard input would keep the program from ending.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    }
}

/// Prints the error that ends the program, and returns its exit code.
fn failed(error: &anyhow::Error) -> ExitCode {
    output::remark(&format!("gorae: {error:#}"));
    ExitCode::from(error.downcast_ref::<failure::Failure>().map_or(1, |failure| failure.code))
}

/// Prints what is wrong with the command line. The exit code is 125 for `run` and `exec`, whose other codes belong to the
/// command in the container, and 2 for the rest.
fn misused(mut error: clap::Error) -> ExitCode {
    match docker_verbs::missing(&error) {
        Some(sentence) => output::remark(&format!("gorae: {sentence}")),
        None => {
            docker_verbs::hide_own(&mut error);
            drop(error.print());
        }
    }
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    // Lossy, because an argument need not be UTF-8: it may be a file name.
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let runs = docker_verbs::typed(words).is_some_and(|verb| verb == "run" || verb == "exec");
    ExitCode::from(if runs { failure::OWN_FAILURE } else { 2 })
}
