// SPDX-License-Identifier: Apache-2.0
//! `--network`: Docker's words for the networks that are always there, `container:NAME`, a name, or the long form
//! `name=NAME,ip=…,alias=…`.

use crate::parse::address::{self, Mac};
use anyhow::{Context, Result, bail, ensure};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest reference to a network in bytes: a whole id.
const MAX_NETWORK: usize = 64;
/// The longest name in the DNS in bytes.
const MAX_ALIAS: usize = 253;
/// The longest part of such a name between two dots.
const MAX_LABEL: usize = 63;

/// Which network a container uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// A network namespace of its own, connected as the daemon's configuration says.
    #[default]
    Own,
    /// The network of the machine.
    Host,
    /// Only a loopback interface.
    None,
    /// The network of another container, as typed.
    Container(String),
    /// Networks that people made; at least one.
    Made(Vec<Wish>),
}

/// A network that people made, and what the container wants to be in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Name or id of the network, which may be shortened.
    pub network: String,
    /// What the container is also found by.
    pub aliases: Vec<String>,
    /// Its address; `None` to have it chosen.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address; `None` to have it chosen.
    pub ipv6: Option<Ipv6Addr>,
    /// Its hardware address; `None` to have it derived.
    pub mac: Option<Mac>,
    /// The network with the highest number has the default route; `None` for 0.
    pub gateway_priority: Option<i32>,
}

impl Wish {
    /// Whether nothing but the network is asked for.
    pub fn is_plain(&self) -> bool {
        *self == Self { network: self.network.clone(), ..Self::default() }
    }

    /// Adds an alias; one that is there already is fine.
    ///
    /// # Errors
    /// As [`alias`].
    pub fn add_alias(&mut self, text: &str) -> Result<()> {
        let alias = alias(text)?;
        if !self.aliases.contains(&alias) {
            self.aliases.push(alias);
        }
        Ok(())
    }
}

/// Reads one `--network`. The name of the network is still as typed: see [`kind`].
///
/// # Errors
/// When the text, or a field of the long form, has another form.
pub fn attachment(text: &str) -> Result<Wish> {
    let read = || match text.contains('=') {
        true => long(text),
        false => Ok(Wish { network: text.to_owned(), ..Wish::default() }),
    };
    let wish = read().with_context(|| format!("bad network {text:?}"))?;
    ensure!(!wish.network.is_empty(), "bad network {text:?}: the name is missing");
    Ok(wish)
}

fn long(text: &str) -> Result<Wish> {
    let mut wish = Wish::default();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').with_context(|| format!("{field:?} is not KEY=VALUE"))?;
        match key {
            "name" => wish.network = once(key, wish.network.is_empty().then(|| value.to_owned()))?,
            "alias" => wish.add_alias(value)?,
            "ip" => wish.ipv4 = Some(once(key, wish.ipv4.is_none().then_some(address::ipv4(value)?))?),
            "ip6" => wish.ipv6 = Some(once(key, wish.ipv6.is_none().then_some(address::ipv6(value)?))?),
            "mac-address" => wish.mac = Some(once(key, wish.mac.is_none().then_some(address::mac(value)?))?),
            "gw-priority" => {
                let number = gateway_priority(value)?;
                wish.gateway_priority = Some(once(key, wish.gateway_priority.is_none().then_some(number))?);
            }
            "link-local-ip" | "driver-opt" => bail!("{key} is not supported"),
            _ => bail!("unknown key {key:?}; it has name, alias, ip, ip6, mac-address and gw-priority"),
        }
    }
    Ok(wish)
}

/// The value of a key, which is `None` if the key was there before.
fn once<T>(key: &str, value: Option<T>) -> Result<T> {
    value.with_context(|| format!("{key} is given twice"))
}

/// Reads the number of `gw-priority`.
///
/// # Errors
/// When it is not a whole number of 32 bits.
pub fn gateway_priority(text: &str) -> Result<i32> {
    text.parse().ok().with_context(|| format!("bad priority {text:?}: the form is a whole number, such as 1 or -5"))
}

/// What the name of a network stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `default`, or `bridge`, Docker's word for it.
    Own,
    /// `host`.
    Host,
    /// `none`.
    None,
    /// The container of `container:NAME`.
    Container(&'a str),
    /// A network that people made.
    Made(&'a str),
}

/// What the name of a network stands for.
///
/// # Errors
/// When it is not a name that a network can have.
pub fn kind(text: &str) -> Result<Kind<'_>> {
    if let Some(container) = text.strip_prefix("container:") {
        ensure!(!container.is_empty(), "bad network {text:?}: the form is container:NAME");
        return Ok(Kind::Container(container));
    }
    match text {
        "default" | "bridge" => Ok(Kind::Own),
        "host" => Ok(Kind::Host),
        "none" => Ok(Kind::None),
        _ => made(text).map(Kind::Made),
    }
}

/// Checks the name of a network that people make.
///
/// # Errors
/// When it has other characters than allowed, begins with a punctuation mark, or is too long.
pub fn made(text: &str) -> Result<&str> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    ensure!(
        first && rest && text.len() <= MAX_NETWORK,
        "bad network {text:?}: a name has at most 63 letters, digits, \"_\", \".\" and \"-\", and begins with a letter or digit"
    );
    Ok(text)
}

/// The network that a container is to be put into, or taken out of. `default` is another word for `bridge`.
///
/// # Errors
/// Those of [`made`]; for a network that a container can be in only from its beginning to its end.
pub fn changeable(text: &str) -> Result<&str> {
    ensure!(
        !matches!(text, "host" | "none"),
        "container cannot be connected to {text} network, or disconnected from it: run it again with another --network"
    );
    made(shown(text))
}

/// The name under which a network is listed, from another word for it.
pub fn shown(text: &str) -> &str {
    if text == "default" { "bridge" } else { text }
}

/// Checks a name by which other containers find this one.
///
/// # Errors
/// When it is not a name of the DNS, in which "_" is allowed too.
pub fn alias(text: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(plain);
    ensure!(
        text.len() <= MAX_ALIAS && text.split('.').all(label),
        "bad alias {text:?}: the form is words of letters, digits, \"-\" and \"_\", separated by \".\""
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_words_have_their_meaning_and_others_are_names() {
        let rows = [
            ("default", Kind::Own),
            ("bridge", Kind::Own),
            ("host", Kind::Host),
            ("none", Kind::None),
            ("container:web", Kind::Container("web")),
            ("Host", Kind::Made("Host")),
            ("my_net.1-a", Kind::Made("my_net.1-a")),
        ];
        for (text, expected) in rows {
            assert_eq!(kind(text).expect(text), expected);
        }
        for text in ["", "container:", "ns:/run/netns/a", "-a", ".a", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(kind(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn the_long_form_says_everything_at_once() {
        let text = "name=back,ip=10.1.0.9,ip6=fd00::9,alias=db,alias=store,alias=db,mac-address=02:42:AC:11:00:02,gw-priority=-5";
        let wish = attachment(text).expect("valid");
        assert_eq!((wish.network.as_str(), wish.aliases.join(" ").as_str()), ("back", "db store"));
        assert_eq!((wish.ipv4, wish.ipv6), ("10.1.0.9".parse().ok(), "fd00::9".parse().ok()));
        assert_eq!((wish.mac, wish.gateway_priority), (Some([2, 0x42, 0xac, 0x11, 0, 2]), Some(-5)));
        assert!(!wish.is_plain() && attachment("back").expect("short").is_plain());
    }

    #[test]
    fn a_field_that_is_wrong_or_twice_is_named() {
        for (text, said) in [
            ("", "the name is missing"),
            ("alias=a", "the name is missing"),
            ("name=", "the name is missing"),
            ("name=a,name=b", "name is given twice"),
            ("name=a,ip=10.0.0.1,ip=10.0.0.2", "ip is given twice"),
            ("name=a,ip=fd00::1", "not an IPv4 address"),
            ("name=a,ip6=10.0.0.1", "not an IPv6 address"),
            ("name=a,alias=-.", "bad alias"),
            ("name=a,mac-address=1:2", "not a hardware address"),
            ("name=a,gw-priority=1.5", "whole number"),
            ("name=a,driver-opt=x=y", "driver-opt is not supported"),
            ("name=a,colour=red", "unknown key \"colour\""),
            ("name=a,", "is not KEY=VALUE"),
        ] {
            let error = format!("{:#}", attachment(text).expect_err(text));
            assert!(error.starts_with("bad network") && error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn aliases_are_names_of_the_dns() {
        for text in ["db", "my_db", "a.b-c", "9", &"a".repeat(63)] {
            assert_eq!(alias(text).expect(text), text);
        }
        for text in ["", ".", "a..b", "a b", "é", "a,b", &"a".repeat(64), &"a.".repeat(127)] {
            assert!(alias(text).is_err(), "{text:?} was taken");
        }
    }
}
