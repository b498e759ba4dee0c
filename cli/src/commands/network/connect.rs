// SPDX-License-Identifier: Apache-2.0
//! `gorae network connect`.

use crate::context::Context;
use crate::failure::refused;
use crate::lookup;
use crate::output::Format;
use crate::parse::address;
use crate::parse::network::{self, Wish};
use crate::pod_network;
use anyhow::{Context as _, Result};
use gorae_proto::gorae::ConnectNetworkRequest;
use serde_json::json;

/// The arguments of `network connect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address in the network, out of a subnet that was given to `gorae network create`
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// IPv6 address in the network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// Another name by which containers in the network find this one
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// The network with the highest number has the container's default route; 0 by default
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    gw_priority: Option<String>,
    /// Name or id of a network
    network: String,
    /// Name or id of a container
    container: String,
}

/// Puts the container into the network, whether it runs or not.
///
/// # Errors
/// When an option has another form, there is no such container, or the daemon refuses.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let wish = pod_network::wish(&wish(&args)?);
    let client = context.connect().await?;
    let container = lookup::container(&client, &args.container).await?;
    let request = ConnectNetworkRequest { pod_id: container.pod_sandbox_id, wish: Some(wish) };
    let tried = || format!("connect container {} to network {}", args.container, args.network);
    let answer = client.networks().connect_network(request).await.map_err(refused(tried))?.into_inner();
    let member = answer.member.unwrap_or_default();
    // Docker prints nothing either, but a program may want to know the address.
    if context.output.format == Format::Json {
        let addresses = json!({ "interface": member.interface, "addresses": member.addresses, "mac": member.mac });
        context.output.json(&addresses)?;
    }
    Ok(0)
}

fn wish(args: &Args) -> Result<Wish> {
    let mut wish = Wish {
        network: network::changeable(&args.network)?.to_owned(),
        ipv4: args.ip.as_deref().map(address::ipv4).transpose().context("bad --ip")?,
        ipv6: args.ip6.as_deref().map(address::ipv6).transpose().context("bad --ip6")?,
        gateway_priority: args.gw_priority.as_deref().map(network::gateway_priority).transpose()?,
        ..Wish::default()
    };
    args.alias.iter().try_for_each(|text| wish.add_alias(text))?;
    Ok(wish)
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

    fn typed(words: &str) -> Result<Wish> {
        wish(&Typed::try_parse_from(std::iter::once("connect").chain(words.split(' ')))?.args)
    }

    #[test]
    fn a_container_can_have_wishes_in_its_new_network() {
        let asked = typed("--ip 10.1.0.9 --ip6 fd00::9 --alias db --alias store --alias db --gw-priority -1 back web")
            .expect("valid");
        assert_eq!((asked.network.as_str(), asked.aliases.join(" ").as_str()), ("back", "db store"));
        assert_eq!((asked.ipv4, asked.ipv6), ("10.1.0.9".parse().ok(), "fd00::9".parse().ok()));
        assert_eq!(asked.gateway_priority, Some(-1));
        assert!(typed("back web").expect("plain").is_plain());
        assert_eq!(typed("default web").expect("plain").network, "bridge");
        for network in ["host", "none"] {
            let refused = typed(&format!("{network} web")).expect_err("refused").to_string();
            assert!(refused.contains(&format!("cannot be connected to {network} network")), "{refused}");
        }
        for words in ["back", "--ip fd00::9 back web", "--alias a,b back web", "a/b web", "--gw-priority x back web"] {
            assert!(typed(words).is_err(), "{words:?} was taken");
        }
    }
}
