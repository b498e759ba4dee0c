// SPDX-License-Identifier: Apache-2.0
//! The chains of nf_tables that see forwarded packets: as the kernel lists them.

use super::expression;
use super::gate::{Gate, Place};
use super::rule::{Ours, Rule};
use crate::error::NetworkError;
use crate::nfnetlink::dump;
use crate::state::blocking;
use gorae_kernel::netlink::{attribute, attribute_of};
use std::io;

// linux/netfilter/nf_tables.h, linux/netfilter.h
const NFT_MSG_GETCHAIN: u16 = (10 << 8) | 4;
const NFT_MSG_GETRULE: u16 = (10 << 8) | 7;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
/// `NFPROTO_INET`, `NFPROTO_IPV4` and `NFPROTO_IPV6`.
const FAMILIES: [(u8, &str); 3] = [(1, "inet"), (2, "ip"), (10, "ip6")];
const NF_INET_FORWARD: u32 = 2;
const NF_DROP: u32 = 0;
/// How often a list is asked for that changes while it is read.
const ATTEMPTS: usize = 5;

/// Finds the chains of all tables but `owner`'s.
///
/// # Errors
/// [`NetworkError::Netlink`].
pub async fn find(owner: &str) -> Result<Vec<Gate>, NetworkError> {
    let owner = owner.to_owned();
    let read = move || {
        let all = again(|| dump(NFT_MSG_GETCHAIN, 0, &[], chain))?;
        let mut gates: Vec<Gate> = all.into_iter().filter(|gate| !is_in(gate, &owner)).collect();
        for gate in &mut gates {
            let (family, only) = request(&gate.place);
            let read = |_, attributes: &[u8]| Some(rule(&owner, attributes));
            let rules = again(|| dump(NFT_MSG_GETRULE, family, &only, read))?;
            gate.last = rules.last().is_some_and(|rule| rule.refuses_all);
            gate.ours.extend(rules.into_iter().filter_map(|rule| rule.ours));
        }
        Ok(gates)
    };
    blocking(move || {
        let read: io::Result<Vec<Gate>> = read();
        read.map_err(|source| NetworkError::Netlink { what: "list", object: "nf_tables chains".into(), source })
    })
    .await
}

fn again<T>(ask: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let answers = (1..ATTEMPTS).map(|_| ask()).find(|answer| !answer.as_ref().is_err_and(is_interruption));
    answers.unwrap_or_else(ask)
}

fn is_interruption(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

fn is_in(gate: &Gate, owner: &str) -> bool {
    matches!(&gate.place, Place::Nft { family: "inet", table, .. } if table == owner)
}

/// Reads a chain; `None` for one that does not filter forwarded packets.
fn chain(family: u8, attributes: &[u8]) -> Option<Gate> {
    let hook = number(attribute(attribute(attributes, NFTA_CHAIN_HOOK)?, NFTA_HOOK_HOOKNUM)?)?;
    if hook != NF_INET_FORWARD || text(attribute(attributes, NFTA_CHAIN_TYPE)?)? != "filter" {
        return None;
    }
    let policy = attribute(attributes, NFTA_CHAIN_POLICY).and_then(number) == Some(NF_DROP);
    let place = place(family, attribute(attributes, NFTA_CHAIN_TABLE)?, attribute(attributes, NFTA_CHAIN_NAME)?)?;
    Some(Gate { place, policy, last: false, ours: Vec::new() })
}

/// Asks for the rules of one chain: its family, and the attributes.
fn request(place: &Place) -> (u8, Vec<u8>) {
    let Place::Nft { family, table, chain } = place else { return (0, Vec::new()) };
    let family = FAMILIES.iter().find(|(_, name)| name == family).map_or(0, |(number, _)| *number);
    let [table, chain] = [table, chain].map(|name| [name.as_bytes(), &[0]].concat());
    (family, [attribute_of(NFTA_RULE_TABLE, &table), attribute_of(NFTA_RULE_CHAIN, &chain)].concat())
}

/// What is looked at in a rule.
struct Seen {
    refuses_all: bool,
    ours: Option<Ours>,
}

fn rule(owner: &str, attributes: &[u8]) -> Seen {
    let refuses_all = attribute(attributes, NFTA_RULE_EXPRESSIONS).is_some_and(expression::refuse_all);
    Seen { refuses_all, ours: ours(owner, attributes) }
}

/// `None` for a rule that is not ours. nft keeps a comment beside the expressions, iptables-nft in one of them.
fn ours(owner: &str, attributes: &[u8]) -> Option<Ours> {
    let start = format!("{owner} open_forward ");
    let at = attributes.windows(start.len()).position(|window| window == start.as_bytes())?;
    let comment =
        attributes.get(at..)?.split(|byte| *byte == 0).next().and_then(|bytes| std::str::from_utf8(bytes).ok())?;
    let comment = Rule::read(owner, comment)?.comment;
    let handle = u64::from_be_bytes(attribute(attributes, NFTA_RULE_HANDLE)?.try_into().ok()?);
    Some(Ours { comment, handle })
}

/// `None` for a family without forwarded packets, and for names that nft does not read as it prints them.
fn place(family: u8, table: &[u8], chain: &[u8]) -> Option<Place> {
    let (_, family) = FAMILIES.iter().find(|(number, _)| *number == family)?;
    let name =
        |bytes| text(bytes).filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)));
    Some(Place::Nft { family, table: name(table)?.into(), chain: name(chain)?.into() })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches('\0'))
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
