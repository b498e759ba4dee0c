// SPDX-License-Identifier: Apache-2.0
//! goraed: parses the command line and runs the daemon. SIGTERM and SIGINT shut it down; SIGHUP reloads its
//! configuration.

#![forbid(unsafe_code)]

use clap::Parser;
use gorae_runtime::config::{Config, Overrides};
use gorae_runtime::log::{Format, Log};
use gorae_runtime::reload::{self, Source};
use gorae_runtime::server;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The C library's allocator holds on to memory after a large pull or a burst of requests. This one has a background
/// thread that returns pages to the kernel once they have been unused for ten seconds.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The Gorae node runtime: serves the Kubernetes CRI on a unix socket.
#[derive(Debug, Parser)]
#[command(name = "goraed", version)]
struct Arguments {
    /// Configuration file; without one, every setting has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for pods, containers and images [default: /var/lib/gorae]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Directory for state that does not survive a reboot [default: /run/gorae]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The CRI socket [default: unix://STATE/gorae.sock]
    #[arg(long, value_name = "unix:///PATH")]
    listen: Option<String>,
    /// Least severe level to log: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Format of log lines: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

fn main() -> ExitCode {
    // Files created for containers have to be readable by their users, whatever umask the service manager set.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let arguments = Arguments::parse();
    if let Err(error) = close_strays() {
        return fail(&error);
    }
    let overrides = Overrides {
        root: arguments.root,
        state: arguments.state,
        listen: arguments.listen,
        log_level: arguments.log_level,
        log_format: arguments.log_format,
    };
    let source = Source { file: arguments.config, overrides };
    let config = match source.load() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let (level, format) = (*config.log_level.borrow(), config.log_format);
    match start(config, source, Log::to_stderr(level, format)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if format == Format::Json => {
            tracing::error!(error, "goraed failed");
            ExitCode::FAILURE
        }
        Err(error) => fail(&error),
    }
}

/// Closes every inherited descriptor except the three standard streams. Otherwise, a descriptor leaked by a careless
/// parent would end up in every shim. This process has not opened anything of its own yet.
fn close_strays() -> Result<(), String> {
    let failed = |e: &dyn std::fmt::Display| format!("close inherited descriptors listed in /proc/self/fd: {e}");
    let list = std::fs::read_dir("/proc/self/fd").map_err(|e| failed(&e))?;
    let mut numbers = Vec::new();
    for entry in list {
        let name = entry.map_err(|e| failed(&e))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The result does not matter: the descriptor is closed either way, and the listing's own already was.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn fail(error: &str) -> ExitCode {
    eprintln!("goraed: {error}");
    ExitCode::FAILURE
}

fn start(config: Config, source: Source, log: Log) -> Result<(), String> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        // Threads are started on demand. A stalled disk ties up one for each request that writes to it, and list
        // requests must still find a free one.
        .max_blocking_threads(512)
        .enable_all()
        .build()
        .map_err(|e| format!("start the worker threads: {e}"))?;
    let result = runtime.block_on(async {
        let (ask, stop) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("watch SIGTERM: {e}"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| format!("watch SIGINT: {e}"))?;
        let hangup = signal(SignalKind::hangup()).map_err(|e| format!("watch SIGHUP: {e}"))?;
        tokio::spawn(reload::on_hangup(hangup, source, config.clone(), log.clone()));
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = ask.send(true);
        });
        server::run(config, log, stop).await.map_err(|e| e.to_string())
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    result
}
