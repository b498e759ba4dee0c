// SPDX-License-Identifier: Apache-2.0
//! From what people type (a name, or the start of an id) to one container or pod.

use crate::client::Client;
use crate::labels;
use anyhow::{Result, bail, ensure};
use gorae_proto::cri;

/// Something that can be meant.
struct Candidate<'a> {
    id: &'a str,
    names: Vec<String>,
    /// The command line's own win over others of the same name.
    ours: bool,
}

/// Finds the container that is meant.
///
/// - Errors: nothing is called so; several are, with their ids.
pub async fn container(client: &Client, text: &str) -> Result<cri::Container> {
    let mut containers = client.containers().await?;
    let candidates: Vec<_> = containers.iter().map(container_candidate).collect();
    let index = choose("container", text, &candidates)?;
    Ok(containers.swap_remove(index))
}

fn container_candidate(container: &cri::Container) -> Candidate<'_> {
    let own = container.metadata.iter().map(|metadata| metadata.name.clone());
    let names = own.chain([labels::display_name(container)]).collect();
    Candidate { id: &container.id, names, ours: labels::name(&container.labels).is_some() }
}

/// Finds the pod that is meant; a container's name or id means the pod around it.
pub async fn pod(client: &Client, text: &str) -> Result<String> {
    let pods = client.pods().await?;
    let candidates: Vec<_> = pods.iter().map(pod_candidate).collect();
    match choose("pod or container", text, &candidates) {
        Ok(index) => Ok(pods[index].id.clone()),
        Err(error) => match container(client, text).await {
            Ok(container) => Ok(container.pod_sandbox_id),
            Err(_) => Err(error),
        },
    }
}

fn pod_candidate(pod: &cri::PodSandbox) -> Candidate<'_> {
    let metadata = pod.metadata.as_ref();
    let full = metadata.map(|m| format!("{}/{}", m.namespace, m.name));
    let names = metadata.map(|m| m.name.clone()).into_iter().chain(full).collect();
    Candidate { id: &pod.id, names, ours: labels::name(&pod.labels).is_some() }
}

/// A whole id first, then our names, then other names, then the start of an id.
fn choose(kind: &str, text: &str, candidates: &[Candidate<'_>]) -> Result<usize> {
    ensure!(!text.is_empty(), "an empty name is no {kind}");
    let among = |test: &dyn Fn(&Candidate<'_>) -> bool| -> Vec<usize> {
        (0..candidates.len()).filter(|&index| test(&candidates[index])).collect()
    };
    let is_prefix = text.bytes().all(|b| b.is_ascii_hexdigit());
    let steps: [&dyn Fn(&Candidate<'_>) -> bool; 4] = [
        &|c| c.id == text,
        &|c| c.ours && c.names.iter().any(|name| name == text),
        &|c| c.names.iter().any(|name| name == text),
        &|c| is_prefix && c.id.starts_with(text),
    ];
    for step in steps {
        match among(step)[..] {
            [] => {}
            [index] => return Ok(index),
            ref several => {
                let ids: Vec<_> = several
                    .iter()
                    .map(|&index| candidates[index].id.get(..12).unwrap_or(candidates[index].id))
                    .collect();
                bail!("{text:?} could be any of {} {kind}s: {}", ids.len(), ids.join(", "));
            }
        }
    }
    bail!("no such {kind}: {text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<&'static str> {
        let rows = [
            ("abcd1", "web", true),
            ("abcd2", "web", false),
            ("ff001", "abcd1", false),
            ("ff002", "side", false),
            ("ff003", "side", false),
        ];
        let candidates: Vec<_> =
            rows.iter().map(|&(id, name, ours)| Candidate { id, names: vec![name.into()], ours }).collect();
        choose("container", text, &candidates).map(|index| rows[index].0)
    }

    #[test]
    fn whole_ids_win_then_our_names_then_others_then_prefixes() {
        for (text, id) in
            [("abcd1", "abcd1"), ("abcd2", "abcd2"), ("web", "abcd1"), ("ff001", "ff001"), ("ff003", "ff003")]
        {
            assert_eq!(found(text).expect(text), id);
        }
    }

    #[test]
    fn a_guess_is_never_made() {
        assert!(found("abcd").expect_err("two ids").to_string().contains("abcd1, abcd2"));
        assert!(found("side").expect_err("two names").to_string().contains("2 containers"));
        for text in ["", "none", "w", "ABCD1", "0"] {
            assert!(found(text).is_err(), "{text:?} was taken");
        }
    }
}
