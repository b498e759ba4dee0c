// SPDX-License-Identifier: Apache-2.0
//! `gorae run`: what was typed, checked before the daemon is asked for anything.

use crate::context::Context;
use crate::environment::Environment;
use crate::failure::{OWN_FAILURE, with_code};
use crate::foreground::Foreground;
use crate::parse::network::Network;
use crate::parse::{entries, name, network, port, quantity, user, volume};
use crate::pulling::Pull;
use crate::run_spec::{RunSpec, capabilities};
use crate::{resolving, running};
use anyhow::{Context as _, Result, bail, ensure};
use gorae_proto::cri;

/// What was typed. `-h` is the host name's here, as with Docker.
// The help is for a terminal: what stands in brackets there is no link.
#[allow(rustdoc::broken_intra_doc_links)]
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
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
    /// Give the container a terminal
    #[arg(short, long)]
    tty: bool,
    /// Remove the container when it exits
    #[arg(long)]
    rm: bool,
    /// A name; two words are chosen when it is missing
    #[arg(long)]
    name: Option<String>,
    /// Publish a port: [IP:]HOST:CONTAINER[/tcp|udp|sctp]
    #[arg(short, long, value_name = "PORT")]
    publish: Vec<String>,
    /// Show a host path in the container: HOST:CONTAINER[:ro]
    #[arg(short, long, value_name = "VOLUME")]
    volume: Vec<String>,
    /// Set a variable: KEY=VALUE, or KEY to hand on this shell's
    #[arg(short, long, value_name = "VARIABLE")]
    env: Vec<String>,
    /// Read variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,
    /// Put a label on the container: KEY=VALUE
    #[arg(short, long, value_name = "LABEL")]
    label: Vec<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// Run as: UID[:GID] or NAME[:GID]
    #[arg(short, long)]
    user: Option<String>,
    /// Run this instead of the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Host name in the container; its name when missing
    #[arg(short = 'h', long)]
    hostname: Option<String>,
    /// default, or host for the machine's own
    #[arg(long, default_value = "default")]
    network: String,
    /// Memory limit, such as 512m
    #[arg(short, long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<String>,
    /// Number of processors, such as 1.5
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpus: Option<String>,
    /// Make the container's root read-only
    #[arg(long)]
    read_only: bool,
    /// Give a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Take a capability away
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Take every confinement away
    #[arg(long)]
    privileged: bool,
    /// Not supported: containers are not restarted
    #[arg(long, value_name = "POLICY", hide = true)]
    restart: Option<String>,
    /// When to fetch the image
    #[arg(long, value_enum, default_value_t = Pull::Missing)]
    pull: Pull,
    /// The image, then the command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    image_and_command: Vec<String>,
}

/// Runs it. Every failure of Gorae's own ends with 125, so that the container's codes stay its own.
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
        bail!("--restart is not supported: a container is started once; let systemd or a kubelet restart it");
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
        "-p has no meaning with --network host: the container's ports are the machine's"
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

/// Files first, `-e` after them, so that the command line wins.
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
    ensure!(text.is_empty() || text.starts_with('/'), "bad working directory {text:?}: it has to be absolute");
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
    fn an_option_that_does_not_exist_is_no_image() {
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
    fn what_cannot_be_meant_is_refused_before_the_daemon_is_asked() {
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
