// SPDX-License-Identifier: Apache-2.0
//! `gorae run`: its arguments, which are checked before the daemon is asked for anything.

use crate::context::Context;
use crate::environment::Environment;
use crate::failure::{OWN_FAILURE, with_code};
use crate::foreground::Foreground;
use crate::parse::capability::capabilities;
use crate::parse::network::Network;
use crate::parse::{entries, name, network, port, quantity, user, volume};
use crate::pulling::Pull;
use crate::run_spec::RunSpec;
use crate::{resolving, running};
use anyhow::{Context as _, Result, bail, ensure};
use gorae_proto::cri;

/// The end of `gorae run --help`.
const EXAMPLES: &str = "\
Examples:
  gorae run -it --rm busybox sh               A shell; the container goes when it ends
  gorae run --rm -v ./data:/data IMAGE ls     A command that sees a local directory
  gorae run -d -p 127.0.0.1:8080:80 httpd     A server in the background, on a local port
  gorae run -m 512m --cpus 1.5 -e A=1 IMAGE   Limits, and a variable";

/// The arguments of `run`. `-h` is the host name here, as with Docker.
// The docs are the help on a terminal: the brackets in them are not links.
#[allow(rustdoc::broken_intra_doc_links)]
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub struct Args {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Run in the background and print the container's id
    #[arg(short, long)]
    detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give the container a terminal (use -it for a shell)
    #[arg(short, long)]
    tty: bool,
    /// Remove the container when it exits
    #[arg(long)]
    rm: bool,
    /// Name of the container; two random words by default
    #[arg(long)]
    name: Option<String>,
    /// Publish a port of the container: [IP:]HOST:CONTAINER[/tcp|udp|sctp]
    #[arg(short, long, value_name = "PORT")]
    publish: Vec<String>,
    /// Mount a path of this machine in the container: HOST:CONTAINER[:ro]
    #[arg(short, long, value_name = "VOLUME")]
    volume: Vec<String>,
    /// Set an environment variable: KEY=VALUE, or KEY to pass on the value of this shell
    #[arg(short, long, value_name = "VARIABLE")]
    env: Vec<String>,
    /// Read environment variables from a file, one per line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,
    /// Set a label of the container: KEY=VALUE
    #[arg(short, long, value_name = "LABEL")]
    label: Vec<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// Run as this user: UID[:GID] or NAME[:GID]
    #[arg(short, long)]
    user: Option<String>,
    /// Run this instead of the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Host name in the container; derived from the name by default
    #[arg(short = 'h', long)]
    hostname: Option<String>,
    /// Network of the container: default, or host for that of this machine
    #[arg(long, default_value = "default")]
    network: String,
    /// Memory limit, such as 512m or 1.5g; 0 for no limit
    #[arg(short, long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<String>,
    /// Limit of processor time, such as 1.5 for one and a half processors; 0 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpus: Option<String>,
    /// Make the root file system of the container read-only
    #[arg(long)]
    read_only: bool,
    /// Add a Linux capability, such as NET_ADMIN, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop a Linux capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Run without any confinement: all capabilities and devices, no seccomp
    #[arg(long)]
    privileged: bool,
    /// Not supported: containers are not restarted
    #[arg(long, value_name = "POLICY", hide = true)]
    restart: Option<String>,
    /// When to pull the image: always, missing (when it is not on this machine), or never
    #[arg(long, value_enum, default_value_t = Pull::Missing, value_name = "WHEN", hide_possible_values = true)]
    pull: Pull,
    /// Image, then the command to run in it and its arguments; by default the command of the image
    #[arg(required = true, trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    image_and_command: Vec<String>,
}

/// Runs the command. A failure of Gorae ends with 125, so that it cannot be taken for one of the container.
///
/// # Errors
/// On wrong usage, and when the image cannot be pulled, the container cannot be created or started, or the session
/// fails. The code is 125 unless the error carries another.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let work = async {
        let foreground = foreground(&args)?;
        let mut spec = spec(&args, &context.environment)?;
        let client = context.connect().await?;
        resolving::resolve(&client, context, &mut spec, args.pull, args.name.is_some()).await?;
        running::run(&client, context, &spec, foreground, args.rm).await
    };
    work.await.map_err(|error| match error.downcast::<crate::failure::Failure>() {
        Ok(failure) => failure.into(),
        Err(error) => with_code(OWN_FAILURE)(error),
    })
}

fn foreground(args: &Args) -> Result<Option<Foreground>> {
    use std::io::IsTerminal;
    if args.restart.as_deref().is_some_and(|policy| policy != "no") {
        bail!("--restart is not supported: gorae starts a container once; let systemd or a kubelet restart it");
    }
    if args.detach {
        return Ok(None);
    }
    ensure!(
        !(args.tty && args.interactive) || std::io::stdin().is_terminal(),
        "-t needs a terminal on standard input; leave out -t when the input is a file or a pipe"
    );
    Ok(Some(Foreground { stdin: args.interactive, tty: args.tty }))
}

fn spec(args: &Args, environment: &Environment) -> Result<RunSpec> {
    let (image, command) = args.image_and_command.split_first().context("the image is missing")?;
    ensure!(!image.is_empty(), "the image's name is empty");
    let network = network::network(&args.network)?;
    ensure!(
        args.publish.is_empty() || network == Network::Own,
        "-p is not possible with --network host: the container's ports are those of the machine"
    );
    let mounts = args.volume.iter().map(|text| volume::volume(text, &environment.directory));
    Ok(RunSpec {
        name: args.name.as_deref().map(name::name).transpose()?.unwrap_or_default(),
        image: image.clone(),
        entrypoint: args.entrypoint.clone(),
        args: command.to_vec(),
        ports: published(&args.publish)?,
        mounts: mounts.collect::<Result<_>>()?,
        variables: variables(args, environment)?,
        labels: args.label.iter().map(|text| entries::label(text)).collect::<Result<_>>()?,
        directory: directory(args.workdir.as_deref())?,
        user: args.user.as_deref().map(user::user).transpose()?,
        hostname: args.hostname.as_deref().map(name::hostname).transpose()?,
        network,
        memory: args.memory.as_deref().map(quantity::memory).transpose()?.flatten(),
        cpu_quota: args.cpus.as_deref().map(quantity::cpus).transpose()?.flatten(),
        read_only: args.read_only,
        added: capabilities(&args.cap_add)?,
        dropped: capabilities(&args.cap_drop)?,
        privileged: args.privileged,
        stdin: args.interactive,
        stdin_once: args.interactive && !args.detach,
        tty: args.tty,
        ..RunSpec::default()
    })
}

fn published(texts: &[String]) -> Result<Vec<cri::PortMapping>> {
    let mut all: Vec<cri::PortMapping> = Vec::new();
    for mapping in texts.iter().map(|text| port::publish(text)).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        let place = |m: &cri::PortMapping| (m.host_ip.clone(), m.host_port, m.protocol);
        ensure!(
            !all.iter().any(|other| place(other) == place(&mapping)),
            "host port {} is published twice",
            mapping.host_port
        );
        all.push(mapping);
    }
    Ok(all)
}

/// The variables of `--env-file`, then those of `-e`, so that the latter win.
fn variables(args: &Args, environment: &Environment) -> Result<Vec<cri::KeyValue>> {
    let own = |name: &str| environment.variable(name);
    let mut all = Vec::new();
    for path in &args.env_file {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        all.extend(entries::file(&text, own).with_context(|| format!("read {}", path.display()))?);
    }
    for text in &args.env {
        all.extend(entries::variable(text, own)?);
    }
    Ok(all)
}

fn directory(text: Option<&str>) -> Result<String> {
    let text = text.unwrap_or_default();
    ensure!(text.is_empty() || text.starts_with('/'), "bad working directory {text:?}: the form is an absolute path");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    fn typed(words: &str) -> Result<RunSpec> {
        let words = std::iter::once("run").chain(words.split(' '));
        spec(&Typed::try_parse_from(words)?.args, &Environment::read())
    }

    #[test]
    fn everything_after_the_image_is_the_command() {
        let spec = typed("-i --name a -p 80:80 busybox sh -c -i --name --rm -p").expect("valid");
        assert_eq!(spec.image, "busybox");
        assert_eq!(spec.args, ["sh", "-c", "-i", "--name", "--rm", "-p"]);
        assert_eq!((spec.name.as_str(), spec.ports.len(), spec.stdin), ("a", 1, true));
    }

    #[test]
    fn h_is_the_host_name() {
        assert_eq!(typed("-h box -i busybox").expect("valid").hostname.as_deref(), Some("box"));
        assert_eq!(typed("-hbox busybox ls -h").expect("valid").hostname.as_deref(), Some("box"));
        assert!(typed("-h").is_err());
        let help = Typed::try_parse_from(["run", "--help"]).expect_err("help");
        assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn an_option_that_does_not_exist_is_not_an_image() {
        assert!(typed("--bogus busybox").is_err());
        assert!(typed("-d").is_err());
    }

    #[test]
    fn combined_short_options_work_as_with_docker() {
        let spec = typed("-it -eA=1 -e B=2 -w /srv -u 5:6 -m 64m --cpus .5 --cap-drop all --cap-add cap_chown img")
            .expect("valid");
        assert!(spec.stdin && spec.tty && spec.stdin_once);
        assert_eq!((spec.variables.len(), spec.memory, spec.cpu_quota), (2, Some(64 << 20), Some(50_000)));
        assert_eq!((spec.added, spec.dropped), (vec!["CHOWN".to_owned()], vec!["ALL".to_owned()]));
        let unlimited = typed("-m 0 --cpus 0 img").expect("valid");
        assert_eq!((unlimited.memory, unlimited.cpu_quota), (None, None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_the_daemon_is_asked() {
        for words in [
            "-p 80:80 -p 80:81 img",
            "--network host -p 80:80 img",
            "--name a/b img",
            "-w srv img",
            "--network none img",
            "-m 1 img",
            "-m -1 img",
            "--cpus -1 img",
            "-u a:b img",
            "--hostname -x img",
            "-l dev.gorae.name=x img",
            "-v data:/srv img",
        ] {
            assert!(typed(words).is_err(), "{words:?} was taken");
        }
        assert!(typed("-p 80:80 -p 80:80/udp img").is_ok());
    }

    #[test]
    fn restart_policies_are_refused_with_the_way_out() {
        let args = |words: &str| Typed::try_parse_from(words.split(' ')).expect("parses").args;
        assert!(foreground(&args("run --restart always img")).expect_err("refused").to_string().contains("systemd"));
        assert!(foreground(&args("run --restart no -d img")).expect("fine").is_none());
    }
}
