// SPDX-License-Identifier: Apache-2.0
//! From the arguments to the request. All of them are checked before the daemon is asked for anything.

use super::args::Args;
use super::network;
use crate::environment::Environment;
use crate::parse::capability::capabilities;
use crate::parse::{dns, entries, name, port, quantity, user, volume};
use crate::run_spec::RunSpec;
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri;

/// The request, as far as the command line has it.
pub(super) fn spec(args: &Args, environment: &Environment) -> Result<RunSpec> {
    let (image, command) = args.image_and_command.split_first().context("the image is missing")?;
    ensure!(!image.is_empty(), "the image's name is empty");
    ensure!(
        args.link.is_empty(),
        "--link is not supported: put both containers into a network (`gorae network create`), where they find each other \
         by name"
    );
    let network = network::network(args)?;
    let ports = published(&args.publish)?;
    let mounts = args.volume.iter().map(|text| volume::volume(text, &environment.directory));
    Ok(RunSpec {
        name: args.name.as_deref().map(name::name).transpose()?.unwrap_or_default(),
        image: image.clone(),
        entrypoint: args.entrypoint.clone(),
        args: command.to_vec(),
        ports: if network::ignored_ports(args, &network).is_some() { Vec::new() } else { ports },
        mounts: mounts.collect::<Result<_>>()?,
        variables: variables(args, environment)?,
        labels: args.label.iter().map(|text| entries::label(text)).collect::<Result<_>>()?,
        directory: directory(args.workdir.as_deref())?,
        user: args.user.as_deref().map(user::user).transpose()?,
        hostname: args.hostname.as_deref().map(name::hostname).transpose()?,
        network,
        dns: network::dns(args)?,
        hosts: args.add_host.iter().map(|text| dns::host(text)).collect::<Result<_>>()?,
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
