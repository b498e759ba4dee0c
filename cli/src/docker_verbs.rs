// SPDX-License-Identifier: Apache-2.0
//! Verbs that people know from Docker and that are not there: each is answered with what to do instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The verb that this program starts itself with; nobody means it.
const OWN: &str = "collect";

const ALONE: &str = "write the verb alone, such as `gorae ps`, `gorae rmi`, `gorae inspect`";
const BUILD: &str = "build with another tool, push the image to a registry, and `gorae pull` it";
const CLUSTER: &str = "for many machines there is Kubernetes, whose kubelet goraed serves";
const FILES: &str =
    "files go through tar: `gorae exec NAME tar c PATH | tar x`, and back with `gorae exec -i NAME tar x`";
const REGISTRY: &str = "`gorae pull` fetches from a registry, and other tools write to one";

/// What to do instead of each verb.
const MISSING: &[(&str, &str)] = &[
    ("bake", BUILD),
    ("build", BUILD),
    ("builder", BUILD),
    ("buildx", BUILD),
    ("commit", BUILD),
    ("compose", "start each service with `gorae run -d --name NAME …`; they reach each other at published ports"),
    ("config", CLUSTER),
    ("container", ALONE),
    ("context", "name the daemon's socket with --host or $GORAE_HOST"),
    ("cp", FILES),
    ("create", "`gorae run -d` makes a container and starts it"),
    ("diff", "`gorae inspect NAME` tells where the container's changes are (info.info.upper)"),
    ("events", "`gorae ps -a` shows states, `gorae logs -f NAME` follows one container"),
    ("export", FILES),
    ("history", "`gorae inspect --type image NAME` shows the image's history"),
    ("image", ALONE),
    ("import", BUILD),
    ("kill", "`gorae stop -t 0 NAME` kills without waiting"),
    ("load", REGISTRY),
    ("login", "credentials are read from Docker's config.json (~/.docker, or $DOCKER_CONFIG): write them there"),
    ("logout", "credentials are read from Docker's config.json (~/.docker, or $DOCKER_CONFIG): remove them there"),
    ("manifest", REGISTRY),
    ("network", "each container has an address of its own; `gorae run --network host` uses the machine's network"),
    ("node", CLUSTER),
    ("pause", "`gorae stop NAME` and `gorae start NAME` keep its files"),
    ("plugin", "there are none"),
    ("port", "`gorae ps` shows the published ports, `gorae port-forward NAME PORT` reaches others"),
    ("push", REGISTRY),
    ("rename", "`gorae run --name` gives the name"),
    ("restart", "`gorae stop NAME` and then `gorae start NAME`: its files stay"),
    ("save", REGISTRY),
    ("search", "look on the registry's own pages"),
    ("secret", CLUSTER),
    ("service", CLUSTER),
    ("stack", CLUSTER),
    ("swarm", CLUSTER),
    ("system", "`gorae info` shows the state and what the disk holds, `gorae rmi` removes images"),
    ("tag", "an image has the names that it was pulled by"),
    ("top", "`gorae exec NAME ps` shows the processes, `gorae stats` what they use"),
    ("trust", "name the image by its digest: NAME@sha256:…"),
    ("unpause", "`gorae start NAME` starts what was stopped"),
    ("update", "stop and remove the container, and run it with other limits"),
    ("volume", "share a directory of the machine: `gorae run -v /PATH:/PATH`"),
    ("wait", "`gorae attach --no-stdin NAME` stays until the end and ends with its code"),
];

/// A sentence for a verb that is known and not there.
pub fn missing(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (verb, instead) = MISSING.iter().find(|(verb, _)| verb == typed)?;
    Some(format!("`gorae {verb}` is not there yet: {instead}"))
}

/// Takes this program's own verb out of what an error proposes.
pub fn hide_own(error: &mut clap::Error) {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return;
    }
    let all = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(all)) => all,
        Some(ContextValue::String(one)) => vec![one],
        _ => return,
    };
    let others: Vec<String> = all.into_iter().filter(|verb| verb != OWN).collect();
    if !others.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(others));
    }
}

/// The verb of a command line, with which other options than those before it may be wrong.
pub fn typed(mut words: impl Iterator<Item = String>) -> Option<String> {
    while let Some(word) = words.next() {
        match word.as_str() {
            "-H" | "--host" | "--format" => drop(words.next()),
            _ if word.starts_with('-') => {}
            _ => return Some(word),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::{CommandFactory, Parser};

    fn refused(verb: &str) -> clap::Error {
        Arguments::try_parse_from(["gorae", verb]).expect_err(verb)
    }

    #[test]
    fn a_verb_that_is_not_there_is_answered_with_another_that_is() {
        let there: Vec<String> = Arguments::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for (verb, instead) in MISSING {
            assert!(!there.contains(&(*verb).to_owned()), "{verb} is there");
            let said = missing(&refused(verb)).expect(verb);
            assert!(said.starts_with(&format!("`gorae {verb}` is not there yet: ")), "{said}");
            for named in instead.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("gorae ")) {
                let named = named.split(' ').next().unwrap_or_default();
                assert!(there.iter().any(|c| c == named), "{verb}: gorae {named} is not there either");
            }
        }
        assert!(MISSING.is_sorted_by_key(|(verb, _)| *verb));
        assert_eq!(missing(&refused("nonsense")), None);
    }

    #[test]
    fn nobody_is_sent_to_the_programs_own_verb() {
        for verb in ["colect", "collec", "connect", "collects"] {
            let mut error = refused(verb);
            hide_own(&mut error);
            assert!(!error.to_string().contains(&format!("'{OWN}'")), "{error}");
        }
        let mut error = refused("stopp");
        hide_own(&mut error);
        assert!(error.to_string().contains("'stop'"), "{error}");
    }

    #[test]
    fn the_verb_is_found_behind_the_options_before_it() {
        let of = |line: &str| typed(line.split(' ').map(str::to_owned));
        for line in ["run -x", "-H unix:///x run", "--host=/x --format json -q run", "-q run exec"] {
            assert_eq!(of(line).as_deref(), Some("run"), "{line}");
        }
        assert_eq!(of("-q --host run"), None);
    }
}
