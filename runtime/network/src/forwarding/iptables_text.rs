// SPDX-License-Identifier: Apache-2.0
//! Reads what `iptables -S` prints.

use super::step::{Act, Step, Subject, Test};
use super::walk::Chains;
use super::words::{Writer, words};

/// The rules of each chain.
pub fn chains(listing: &str) -> Chains {
    let mut chains = Chains::new();
    for line in listing.lines() {
        let words = words(line, Writer::Iptables);
        if let [add, chain, rest @ ..] = &words[..]
            && add == "-A"
        {
            chains.entry(chain.clone()).or_default().push(step(rest));
        }
    }
    chains
}

fn step(words: &[String]) -> Step {
    let (mut tests, mut not) = (Vec::new(), false);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        let of = match word {
            "!" => {
                not = true;
                continue;
            }
            // A module only brings options; "comment" asks nothing.
            "-m" | "--comment" => {
                value();
                continue;
            }
            // The rest are options of the target.
            "-j" => return Step { tests, act: target(value()) },
            "-g" => return Step { tests, act: Act::Goto(value().into()) },
            "-s" => Subject::Source(value().parse().into_iter().collect()),
            "-d" => Subject::Destination(value().parse().into_iter().collect()),
            "-i" => Subject::In(vec![pattern(value())]),
            "-o" => Subject::Out(vec![pattern(value())]),
            "--ctstate" | "--state" => state(value().split(',')),
            _ => Subject::Other,
        };
        tests.push(Test { not: std::mem::take(&mut not), of });
    }
    Step { tests, act: Act::Nothing }
}

fn target(name: &str) -> Act {
    match name {
        "ACCEPT" => Act::Accept,
        "DROP" | "REJECT" => Act::Refuse,
        "RETURN" => Act::Return,
        // Of a chain, or of a module: then there is no chain of this name.
        chain => Act::Jump(chain.into()),
    }
}

fn pattern(name: &str) -> String {
    name.strip_suffix('+').map_or_else(|| name.into(), |start| format!("{start}*"))
}

/// What is asked of a connection's state.
pub fn state<'a>(states: impl Iterator<Item = &'a str>) -> Subject {
    let states: Vec<String> = states.map(str::to_lowercase).collect();
    let has = |state: &str| states.iter().any(|s| s == state);
    if has("established") && !has("new") { Subject::Established } else { Subject::Other }
}
