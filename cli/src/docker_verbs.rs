// SPDX-License-Identifier: Apache-2.0
//! Docker's commands that gorae does not have. The reply to each says what to do instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The hidden verb that this program runs in the background; it is not meant to be typed.
const OWN: &str = "collect";

const ALONE: &str = "use the short commands, such as `gorae ps`, `gorae rmi` and `gorae inspect`";
const BUILD: &str = "build with another tool, push the image to a registry, then `gorae pull` it";
const CLUSTER: &str = "to run containers on many machines use Kubernetes; goraed serves its kubelet";
const FILES: &str = "copy with tar: `gorae exec NAME tar c PATH | tar x` out of a container, `tar c PATH | gorae exec -i NAME tar x` into one";
const REGISTRY: &str = "`gorae pull` reads from registries; use another tool to write to one";

/// Docker's verbs in alphabetical order, each with what to do instead.
const MISSING: &[(&str, &str)] = &[
    ("bake", BUILD),
    ("build", BUILD),
    ("builder", BUILD),
    ("buildx", BUILD),
    ("commit", BUILD),
    ("compose", "start each service with `gorae run -d --network NETWORK --name NAME …`: they find each other by name"),
    ("config", CLUSTER),
    ("container", ALONE),
    ("context", "choose the daemon's socket with --host or $GORAE_HOST"),
    ("cp", FILES),
    ("create", "`gorae run -d` creates a container and starts it"),
    ("diff", "`gorae inspect NAME` shows the directory with the container's changes (info.info.upper)"),
    ("events", "`gorae ps -a` shows the states, and `gorae logs -f NAME` follows one container"),
    ("export", FILES),
    ("history", "`gorae inspect --type image NAME` shows the image's history"),
    ("image", ALONE),
    ("import", BUILD),
    ("kill", "`gorae stop -t 0 NAME` kills without waiting"),
    ("load", REGISTRY),
    ("login", "gorae reads credentials from Docker's config.json (in ~/.docker, or $DOCKER_CONFIG): add them there"),
    (
        "logout",
        "gorae reads credentials from Docker's config.json (in ~/.docker, or $DOCKER_CONFIG): remove them there",
    ),
    ("manifest", REGISTRY),
    ("node", CLUSTER),
    ("pause", "`gorae stop NAME`, then `gorae start NAME`: the container keeps its files"),
    ("plugin", "gorae has no plugins"),
    ("port", "`gorae ps` shows the published ports, and `gorae port-forward NAME PORT` reaches the others"),
    ("push", REGISTRY),
    ("rename", "choose the name with `gorae run --name NAME`"),
    ("restart", "`gorae stop NAME`, then `gorae start NAME`: the container keeps its files"),
    ("save", REGISTRY),
    ("search", "search on the registry's website"),
    ("secret", CLUSTER),
    ("service", CLUSTER),
    ("stack", CLUSTER),
    ("swarm", CLUSTER),
    ("system", "`gorae info` shows the daemon's state and disk usage, and `gorae rmi` removes images"),
    ("tag", "an image has the names it was pulled by"),
    ("top", "`gorae exec NAME ps` shows the processes, and `gorae stats` shows what they use"),
    ("trust", "pin the image by its digest: NAME@sha256:…"),
    ("unpause", "`gorae start NAME` starts a stopped container"),
    ("update", "stop and remove the container, then run it again with other limits"),
    ("volume", "share a directory of this machine: `gorae run -v /PATH:/PATH`"),
    ("wait", "`gorae attach --no-stdin NAME` waits for the container and ends with its exit code"),
];

/// The reply to a command line whose verb Docker has and gorae does not; `None` for any other mistake.
pub fn missing(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (verb, instead) = MISSING.iter().find(|(verb, _)| verb == typed)?;
    Some(format!("there is no `gorae {verb}` yet: {instead}"))
}

/// Removes the hidden verb from the suggestions of an error.
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

/// Finds the verb in a command line that clap could not parse, by skipping the options before it.
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
    fn a_missing_verb_is_answered_with_one_that_exists() {
        let existing: Vec<String> = Arguments::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for (verb, instead) in MISSING {
            assert!(!existing.contains(&(*verb).to_owned()), "{verb} exists");
            let said = missing(&refused(verb)).expect(verb);
            assert!(said.starts_with(&format!("there is no `gorae {verb}` yet: ")), "{said}");
            for named in instead.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("gorae ")) {
                let named = named.split(' ').next().unwrap_or_default();
                assert!(existing.iter().any(|c| c == named), "{verb}: gorae {named} does not exist either");
            }
        }
        assert!(MISSING.is_sorted_by_key(|(verb, _)| *verb));
        assert_eq!(missing(&refused("nonsense")), None);
    }

    #[test]
    fn the_hidden_verb_is_never_suggested() {
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
