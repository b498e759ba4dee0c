// SPDX-License-Identifier: Apache-2.0
//! The network of `run`: one choice from all the options about it, and what cannot be combined, as with Docker.

use super::args::Args;
use crate::parse::network::{self, Kind, Network, Wish};
use crate::parse::{address, dns};
use anyhow::{Context as _, Result, bail, ensure};
use gorae_proto::cri;

/// The default network among others, as the daemon knows it.
const DEFAULT: &str = "bridge";

/// The network that the options ask for.
///
/// # Errors
/// When an option has another form, or two of them cannot be combined.
pub(super) fn network(args: &Args) -> Result<Network> {
    let mut wishes = args.network.iter().map(|text| network::attachment(text)).collect::<Result<Vec<_>>>()?;
    if wishes.is_empty() {
        wishes.push(Wish { network: "default".to_owned(), ..Wish::default() });
    }
    add_options(&mut wishes[0], args)?;
    let chosen = chosen(wishes)?;
    match &chosen {
        Network::Container(other) => check_shared(args, other)?,
        Network::None => {
            ensure!(args.publish.is_empty(), "-p is not possible with --network none: nothing can reach the container");
        }
        Network::Own | Network::Host | Network::Made(_) => {}
    }
    Ok(chosen)
}

/// Options without a network in them are about the first one.
fn add_options(first: &mut Wish, args: &Args) -> Result<()> {
    let both =
        |option: &str| format!("{option} cannot be combined with the same setting in --network {}", first.network);
    ensure!(args.network_alias.is_empty() || first.aliases.is_empty(), both("--network-alias"));
    ensure!(args.ip.is_none() || first.ipv4.is_none(), both("--ip"));
    ensure!(args.ip6.is_none() || first.ipv6.is_none(), both("--ip6"));
    ensure!(args.mac_address.is_none() || first.mac.is_none(), both("--mac-address"));
    for text in &args.network_alias {
        first.add_alias(text)?;
    }
    if let Some(text) = &args.ip {
        first.ipv4 = Some(address::ipv4(text).context("bad --ip")?);
    }
    if let Some(text) = &args.ip6 {
        first.ipv6 = Some(address::ipv6(text).context("bad --ip6")?);
    }
    if let Some(text) = &args.mac_address {
        first.mac = Some(address::mac(text).context("bad --mac-address")?);
    }
    Ok(())
}

/// One network that is always there, or several: those that people made, and the default one.
fn chosen(mut wishes: Vec<Wish>) -> Result<Network> {
    let several = wishes.len() > 1;
    for wish in wishes.iter_mut().filter(|wish| several && matches!(network::kind(&wish.network), Ok(Kind::Own))) {
        check_plain(wish)?;
        wish.network = DEFAULT.to_owned();
    }
    for (index, wish) in wishes.iter().enumerate() {
        let kind = network::kind(&wish.network)?;
        ensure!(
            !wishes[..index].iter().any(|other| other.network == wish.network),
            "network {} is given twice",
            wish.network
        );
        if matches!(kind, Kind::Made(_)) || (several && kind == Kind::Own) {
            continue;
        }
        ensure!(
            !several,
            "--network {} cannot be combined with another network: only bridge and those made by `gorae network create` can",
            wish.network
        );
        check_plain(wish)?;
        return Ok(match kind {
            Kind::Host => Network::Host,
            Kind::None => Network::None,
            Kind::Container(name) => Network::Container(name.to_owned()),
            Kind::Own | Kind::Made(_) => Network::Own,
        });
    }
    Ok(Network::Made(wishes))
}

/// In a network that is always there, nothing can be asked for.
fn check_plain(wish: &Wish) -> Result<()> {
    let asked = match wish {
        _ if wish.is_plain() => return Ok(()),
        Wish { aliases, .. } if !aliases.is_empty() => "a network alias",
        Wish { ipv4: Some(_), .. } | Wish { ipv6: Some(_), .. } => "an address of your choice",
        Wish { mac: Some(_), .. } => "a hardware address of your choice",
        _ => "a gateway priority",
    };
    bail!(
        "{asked} is not possible in network {:?}: make a network with `gorae network create`, and choose it with --network",
        wish.network
    )
}

/// A container in the network of another one has all of that network, and can change nothing of it.
fn check_shared(args: &Args, other: &str) -> Result<()> {
    let rows = [
        (args.hostname.is_some(), "--hostname", "the host name is"),
        (!args.publish.is_empty(), "-p", "ports are"),
        (!args.dns.is_empty(), "--dns", "DNS servers are"),
        (!args.dns_search.is_empty(), "--dns-search", "search domains are"),
        (!args.dns_option.is_empty(), "--dns-option", "DNS options are"),
        (!args.add_host.is_empty(), "--add-host", "the hosts file is"),
    ];
    if let Some((_, option, what)) = rows.iter().find(|(given, ..)| *given) {
        bail!("{option} is not possible with --network container:{other}: {what} that container's; give it there");
    }
    Ok(())
}

/// Why published ports have no effect in this network, as with Docker; `None` when they have one, or there are none.
pub(super) fn ignored_ports(args: &Args, network: &Network) -> Option<&'static str> {
    let is_ignored = *network == Network::Host && !args.publish.is_empty();
    is_ignored.then_some("-p has no effect with --network host: the container's ports are those of the machine")
}

/// The lists of resolv.conf that the options give.
///
/// # Errors
/// When an option has another form.
pub(super) fn dns(args: &Args) -> Result<cri::DnsConfig> {
    Ok(cri::DnsConfig {
        servers: args.dns.iter().map(|text| dns::server(text)).collect::<Result<_>>()?,
        searches: args.dns_search.iter().map(|text| dns::search(text)).collect::<Result<_>>()?,
        options: args.dns_option.iter().map(|text| dns::option(text)).collect::<Result<_>>()?,
    })
}
