// SPDX-License-Identifier: Apache-2.0
//! Reads what `nft list table` prints.

use super::iptables_text::state;
use super::step::{Act, Step, Subject, Test};
use super::walk::Chains;
use super::words::{Writer, words};
use ipnet::IpNet;
use std::net::IpAddr;

/// The rules of each chain.
pub fn chains(listing: &str) -> Chains {
    let mut chains = Chains::new();
    let (mut chain, mut rule, mut depth) = (None, Vec::new(), 0_usize);
    for line in listing.lines() {
        let line = words(line, Writer::Nft);
        let before = depth;
        depth = (depth + count(&line, "{")).saturating_sub(count(&line, "}"));
        match &line[..] {
            [word, name, _] if before == 1 && word == "chain" => chain = Some(name.clone()),
            // The end of the chain, or of something else.
            _ if depth < 2 => chain = None,
            _ => rule.extend(line),
        }
        // A set may go on in the next line.
        if depth <= 2 {
            let rule = std::mem::take(&mut rule);
            if let Some(chain) = chain.as_ref().filter(|_| rule.first().is_some_and(|word| word != "type")) {
                chains.entry(chain.clone()).or_default().extend(steps(&rule));
            }
        }
    }
    chains
}

fn count(line: &[String], brace: &str) -> usize {
    line.iter().filter(|word| *word == brace).count()
}

/// The rule; one for each pair of a map of verdicts.
fn steps(words: &[String]) -> Vec<Step> {
    let (mut tests, mut rest) = (Vec::new(), words);
    while let Some((word, after)) = rest.split_first() {
        let second = after.first().map(String::as_str).unwrap_or_default();
        if let Some(act) = verdict(word, second) {
            return vec![Step { tests, act }];
        }
        let (kind, len) = match (word.as_str(), second) {
            ("counter" | "log", _) => (None, 1),
            ("comment" | "packets" | "bytes" | "prefix" | "level" | "flags" | "group", _) => (None, 2),
            ("ip" | "ip6", "saddr") => (Some("saddr"), 2),
            ("ip" | "ip6", "daddr") => (Some("daddr"), 2),
            ("iif" | "iifname", _) => (Some("iifname"), 1),
            ("oif" | "oifname", _) => (Some("oifname"), 1),
            ("ct", "state") => (Some("state"), 2),
            _ => (Some("other"), 1),
        };
        rest = rest.get(len..).unwrap_or_default();
        let Some(kind) = kind else { continue };
        if let Some((_, after)) = rest.split_first().filter(|(word, _)| *word == "vmap") {
            return values(after).0.iter().map(|pair| of_pair(&tests, kind, pair)).collect();
        }
        let not = kind != "other" && rest.first().is_some_and(|word| word == "!=");
        rest = rest.get(usize::from(not)..).unwrap_or_default();
        let (wanted, after) = if kind == "other" { (Vec::new(), rest) } else { values(rest) };
        tests.push(Test { not, of: subject(kind, wanted.iter().filter_map(|value| only(value))) });
        rest = after;
    }
    vec![Step { tests, act: Act::Nothing }]
}

fn verdict(word: &str, second: &str) -> Option<Act> {
    Some(match word {
        "accept" => Act::Accept,
        "drop" | "reject" => Act::Refuse,
        "return" => Act::Return,
        "jump" => Act::Jump(second.into()),
        "goto" => Act::Goto(second.into()),
        _ => return None,
    })
}

/// A pair of a map: `10.0.0.0/8 : goto inner`.
fn of_pair(tests: &[Test], kind: &str, pair: &[String]) -> Step {
    let (key, act) = pair.split_at(pair.iter().position(|word| word == ":").unwrap_or(pair.len()));
    let word = |at: usize| act.get(at).map(String::as_str).unwrap_or_default();
    let of = subject(kind, only(key).into_iter());
    Step { tests: [tests, &[Test { not: false, of }]].concat(), act: verdict(word(1), word(2)).unwrap_or(Act::Nothing) }
}

/// The values that follow, and what comes after them: `{ a, b } rest`, or `a,b rest`.
fn values(words: &[String]) -> (Vec<Vec<String>>, &[String]) {
    let (list, after) = match words {
        [brace, rest @ ..] if brace == "{" => {
            let end = rest.iter().position(|word| word == "}").unwrap_or(rest.len());
            (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default())
        }
        _ => {
            let more = words.chunks(2).take_while(|pair| pair.get(1).is_some_and(|word| word == ",")).count();
            words.split_at(words.len().min(2 * more + 1))
        }
    };
    (list.split(|word| word == ",").map(<[String]>::to_vec).collect(), after)
}

/// A value of one word. Ranges of addresses, named sets and concatenations are none that can be judged.
fn only(value: &[String]) -> Option<&str> {
    if let [word] = value { Some(word.trim_start_matches('"')) } else { None }
}

fn subject<'a>(kind: &str, values: impl Iterator<Item = &'a str>) -> Subject {
    let net = |value: &str| value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from));
    match kind {
        "saddr" => Subject::Source(values.filter_map(net).collect()),
        "daddr" => Subject::Destination(values.filter_map(net).collect()),
        "iifname" => Subject::In(values.map(Into::into).collect()),
        "oifname" => Subject::Out(values.map(Into::into).collect()),
        "state" => state(values),
        _ => Subject::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = r#"# Warning: accept {
table inet fw {
	set trusted {
		type ipv4_addr
		elements = { 10.0.0.1,
			     10.0.0.2 }
	}

	chain forwarded {
		type filter hook forward priority filter; policy drop;
		ct state vmap { invalid : drop, established : jump inner }
		iifname { "gp*", "lo" } ip daddr != 10.1.0.0/16 tcp dport { 1, 2 } counter packets 0 bytes 0 accept comment "a } drop"
		ip saddr { 10.0.0.1, 10.2.0.0/16,
			   10.3.0.0-10.3.0.9 } log prefix "accept" reject with icmpx admin-prohibited
	}

	chain inner {
	}
}"#;

    #[test]
    fn rules_are_read_with_their_sets_and_maps() {
        let test = |not, of| Test { not, of };
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().expect("net")).collect();
        let in_state = |of, act| Step { tests: vec![test(false, of)], act };
        let mut accepting = vec![
            test(false, Subject::In(vec!["gp*".into(), "lo".into()])),
            test(true, Subject::Destination(nets(&["10.1.0.0/16"]))),
        ];
        accepting.extend((0..7).map(|_| test(false, Subject::Other)));
        let chains = chains(LISTING);
        let wanted = [
            in_state(Subject::Other, Act::Refuse),
            in_state(Subject::Established, Act::Jump("inner".into())),
            Step { tests: accepting, act: Act::Accept },
            in_state(Subject::Source(nets(&["10.0.0.1/32", "10.2.0.0/16"])), Act::Refuse),
        ];
        assert_eq!(chains.get("forwarded").map(Vec::as_slice), Some(&wanted[..]));
        assert_eq!(chains.len(), 1);
    }
}
