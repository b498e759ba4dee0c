// SPDX-License-Identifier: Apache-2.0
//! `gorae network create`.

use crate::context::Context;
use crate::failure::refused;
use crate::parse::{entries, network, subnet};
use anyhow::{Context as _, Result, bail, ensure};
use gorae_proto::gorae::{CreateNetworkRequest, NetworkSettings};
use serde_json::json;
use std::collections::HashMap;

/// The longest name of a network in bytes.
const MAX_NAME: usize = 63;
/// The option for the MTU.
const MTU: &str = "com.docker.network.driver.mtu";
/// The smallest MTU that IPv4 allows.
const MIN_MTU: u32 = 68;
/// The largest MTU of a bridge.
const MAX_MTU: u32 = 65_535;

/// The arguments of `network create`.
// The docs are the help on a terminal: the brackets in them are not links.
#[allow(rustdoc::broken_intra_doc_links)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Driver of the network; bridge is the only one
    #[arg(short, long, default_value = "bridge", hide_default_value = true)]
    driver: String,
    /// Subnet, such as 10.1.0.0/24; one of each family at most, chosen if none is given
    #[arg(long, value_name = "SUBNET")]
    subnet: Vec<String>,
    /// Address of this machine in a subnet; the first one by default
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<String>,
    /// Choose addresses only from this part of a subnet
    #[arg(long, value_name = "SUBNET")]
    ip_range: Vec<String>,
    /// No way out of the network, and none in
    #[arg(long)]
    internal: bool,
    /// Addresses of IPv4; --ipv4=false for a network without
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "true", hide_default_value = true, hide_possible_values = true, action = clap::ArgAction::Set)]
    ipv4: bool,
    /// Addresses of IPv6; a subnet of IPv6 means it too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          hide_possible_values = true)]
    ipv6: Option<bool>,
    /// Set a label of the network: KEY=VALUE
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Set an option of the driver: mtu=BYTES, or one of Docker's for bridges (com.docker.network.bridge.…)
    #[arg(short, long, value_name = "OPTION")]
    opt: Vec<String>,
    #[command(flatten)]
    refused: Refused,
    /// Name of the network
    name: String,
}

/// Options of Docker that have no meaning here: hidden, and refused with the reason.
#[derive(Debug, Default, clap::Args)]
struct Refused {
    #[arg(long, hide = true)]
    attachable: bool,
    #[arg(long, hide = true)]
    ingress: bool,
    #[arg(long, hide = true)]
    config_only: bool,
    #[arg(long, hide = true)]
    config_from: Option<String>,
    #[arg(long, hide = true)]
    scope: Option<String>,
    #[arg(long, hide = true)]
    ipam_driver: Option<String>,
    #[arg(long, hide = true)]
    ipam_opt: Vec<String>,
    #[arg(long, hide = true)]
    aux_address: Vec<String>,
}

/// Makes the network and prints its id.
///
/// # Errors
/// When an option has another form or is not supported, or the daemon refuses.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let request = request(&args)?;
    let client = context.connect().await?;
    let answer = client.networks().create_network(request).await;
    let answer = answer.map_err(refused(|| format!("create network {}", args.name)))?.into_inner();
    let network = answer.network.context("the daemon's response has no network")?;
    context.output.one(&json!({ "id": network.id, "name": network.name }), || format!("{}\n", network.id))?;
    Ok(0)
}

fn request(args: &Args) -> Result<CreateNetworkRequest> {
    check_refused(args)?;
    let name = network::made(&args.name)?;
    ensure!(name.len() <= MAX_NAME, "bad network {name:?}: a name has up to {MAX_NAME} characters");
    let subnets = subnet::subnets(&args.subnet, &args.ip_range, &args.gateway)?;
    let has = |ipv6: bool| subnets.iter().any(|s| s.subnet.contains(':') == ipv6);
    ensure!(args.ipv4 || !has(false), "a subnet of IPv4 cannot be combined with --ipv4=false");
    ensure!(args.ipv6 != Some(false) || !has(true), "a subnet of IPv6 cannot be combined with --ipv6=false");
    let ipv6 = args.ipv6.unwrap_or_else(|| has(true));
    ensure!(args.ipv4 || ipv6, "--ipv4=false needs --ipv6: a network has addresses of one family at least");
    let settings = NetworkSettings {
        driver: "bridge".to_owned(),
        no_ipv4: !args.ipv4,
        ipv6,
        subnets,
        internal: args.internal,
        mtu: 0,
        labels: args.label.iter().map(|text| entries::label(text)).collect::<Result<_>>()?,
        options: options(&args.opt)?,
    };
    Ok(CreateNetworkRequest { name: name.to_owned(), settings: Some(settings) })
}

fn check_refused(args: &Args) -> Result<()> {
    let (driver, not_here) = (args.driver.as_str(), &args.refused);
    match driver {
        "bridge" => {}
        "host" | "none" | "null" => {
            bail!("--driver {driver} is not supported: that network is always there; choose it with --network")
        }
        _ => bail!("--driver {driver} is not supported: the networks of gorae are bridges on this machine"),
    }
    let swarm = "networks of many machines are those of Kubernetes and its CNI plugins";
    let rows = [
        (not_here.attachable, "--attachable", swarm),
        (not_here.ingress, "--ingress", swarm),
        (not_here.scope.as_deref().is_some_and(|scope| scope != "local"), "--scope", swarm),
        (not_here.config_only, "--config-only", "give the settings when you make the network"),
        (not_here.config_from.is_some(), "--config-from", "give the settings when you make the network"),
        (
            not_here.ipam_driver.as_deref().is_some_and(|driver| driver != "default"),
            "--ipam-driver",
            "the daemon chooses addresses itself, from --ip-range if you give one",
        ),
        (!not_here.ipam_opt.is_empty(), "--ipam-opt", "the daemon chooses addresses itself"),
        (
            !not_here.aux_address.is_empty(),
            "--aux-address",
            "keep addresses free with an --ip-range that is without them",
        ),
    ];
    match rows.iter().find(|(given, ..)| *given) {
        Some((_, option, why)) => bail!("{option} is not supported: {why}"),
        None => Ok(()),
    }
}

/// The options of the driver by Docker's names.
fn options(texts: &[String]) -> Result<HashMap<String, String>> {
    let mut all = HashMap::new();
    for text in texts {
        let (key, value) =
            text.split_once('=').with_context(|| format!("bad option {text:?}: the form is KEY=VALUE"))?;
        let key = if key == "mtu" { MTU } else { key };
        if key == MTU {
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            let mtu = value.parse().ok().filter(|mtu| digits && (MIN_MTU..=MAX_MTU).contains(mtu));
            ensure!(mtu.is_some(), "bad option {text:?}: an MTU is a number from {MIN_MTU} to {MAX_MTU}");
        }
        ensure!(all.insert(key.to_owned(), value.to_owned()).is_none(), "option {key} is given twice");
    }
    Ok(all)
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

    fn settings(words: &str) -> Result<NetworkSettings> {
        let words = std::iter::once("create").chain(words.split(' '));
        Ok(request(&Typed::try_parse_from(words)?.args)?.settings.expect("settings"))
    }

    #[test]
    fn a_name_is_enough() {
        let request = request(&Typed::try_parse_from(["create", "back"]).expect("parses").args).expect("valid");
        let expected = NetworkSettings { driver: "bridge".into(), ..Default::default() };
        assert_eq!((request.name.as_str(), request.settings), ("back", Some(expected)));
    }

    #[test]
    fn every_option_reaches_the_daemon() {
        let line = "-d bridge --subnet 10.1.0.0/16 --subnet fd00::/64 --gateway fd00::1 --ip-range 10.1.4.0/24 --internal \
                    --label team=x -o mtu=1400 -o com.docker.network.bridge.enable_icc=false --scope local back";
        let made = settings(line).expect("valid");
        assert_eq!((made.subnets.len(), made.subnets[0].range.as_str()), (2, "10.1.4.0/24"));
        assert_eq!(made.subnets[1].gateway, "fd00::1");
        assert!(made.ipv6 && made.internal && !made.no_ipv4);
        assert_eq!(made.labels, [("team".to_owned(), "x".to_owned())].into());
        let icc = "com.docker.network.bridge.enable_icc";
        assert_eq!(made.options, [(MTU, "1400"), (icc, "false")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn families_are_chosen_by_option_or_by_subnet() {
        for (line, no_ipv4, ipv6) in [
            ("back", false, false),
            ("--ipv4 back", false, false),
            ("--ipv6 back", false, true),
            ("--ipv6=false back", false, false),
            ("--subnet fd00::/64 back", false, true),
            ("--ipv4=false --ipv6 back", true, true),
            ("--ipv4=false --subnet fd00::/64 back", true, true),
        ] {
            let made = settings(line).expect(line);
            assert_eq!((made.no_ipv4, made.ipv6), (no_ipv4, ipv6), "{line}");
        }
    }

    #[test]
    fn what_does_not_work_here_is_refused_with_the_reason() {
        for (line, said) in [
            ("-d macvlan back", "bridges on this machine"),
            ("-d host back", "always there"),
            ("--attachable back", "Kubernetes"),
            ("--ingress back", "Kubernetes"),
            ("--scope swarm back", "Kubernetes"),
            ("--config-only back", "--config-only is not supported"),
            ("--config-from other back", "--config-from is not supported"),
            ("--ipam-driver dhcp back", "--ipam-driver is not supported"),
            ("--aux-address a=10.1.0.5 back", "--ip-range"),
            ("--ipv4=false back", "--ipv4=false needs --ipv6"),
            ("--ipv4=false --subnet 10.1.0.0/24 back", "cannot be combined"),
            ("--ipv6=false --subnet fd00::/64 back", "cannot be combined"),
            ("-o mtu back", "KEY=VALUE"),
            ("-o mtu=67 back", "from 68 to 65535"),
            ("-o mtu=+1400 back", "from 68 to 65535"),
            ("-o mtu=1400 -o com.docker.network.driver.mtu=1400 back", "given twice"),
            ("--label dev.gorae.owner=x back", "reserved"),
            ("-x back", "unexpected argument"),
            ("../back", "bad network"),
            (&"a".repeat(64), "up to 63 characters"),
        ] {
            let error = settings(line).expect_err(line).to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
