// SPDX-License-Identifier: Apache-2.0
//! Finds the one container or pod that people mean by a name, or by the beginning of an id.

use crate::client::Client;
use crate::labels;
use anyhow::{Context, Result, bail, ensure};
use gorae_proto::cri;

/// An object that people may mean.
struct Candidate<'a> {
    id: &'a str,
    names: Vec<String>,
    /// Whether the command line made it: then it wins over other objects of the same name.
    ours: bool,
}

/// Finds the container that `text` means.
///
/// # Errors
/// When there is no such container, or when there are several; the error then has their ids.
pub async fn container(client: &Client, text: &str) -> Result<cri::Container> {
    container_if_any(client, text).await?.with_context(|| format!("no such container: {text:?}"))
}

/// Finds the container that `text` means; `None` when there is no such container.
///
/// # Errors
/// When there are several; the error has their ids.
pub async fn container_if_any(client: &Client, text: &str) -> Result<Option<cri::Container>> {
    let mut containers = client.containers().await?;
    let candidates: Vec<_> = containers.iter().map(container_candidate).collect();
    let index = choose("containers", text, &candidates)?;
    Ok(index.map(|index| containers.swap_remove(index)))
}

fn container_candidate(container: &cri::Container) -> Candidate<'_> {
    let own = container.metadata.iter().map(|metadata| metadata.name.clone());
    let names = own.chain([labels::display_name(container)]).collect();
    Candidate { id: &container.id, names, ours: labels::name(&container.labels).is_some() }
}

/// Finds the id of the pod that `text` means; the name or id of a container means its pod.
///
/// # Errors
/// As [`pod_if_any`], and when there is no such pod or container.
pub async fn pod(client: &Client, text: &str) -> Result<String> {
    pod_if_any(client, text).await?.with_context(|| format!("no such pod or container: {text:?}"))
}

/// Finds the id of the pod that `text` means; `None` when there is no such pod or container.
///
/// # Errors
/// When there are several; the error has their ids.
pub async fn pod_if_any(client: &Client, text: &str) -> Result<Option<String>> {
    let pods = client.pods().await?;
    let candidates: Vec<_> = pods.iter().map(pod_candidate).collect();
    match choose("pods", text, &candidates) {
        Ok(Some(index)) => Ok(Some(pods[index].id.clone())),
        undecided => match container_if_any(client, text).await? {
            Some(container) => Ok(Some(container.pod_sandbox_id)),
            None => undecided.map(|_| None),
        },
    }
}

fn pod_candidate(pod: &cri::PodSandbox) -> Candidate<'_> {
    let metadata = pod.metadata.as_ref();
    let full = metadata.map(|m| format!("{}/{}", m.namespace, m.name));
    let names = metadata.map(|m| m.name.clone()).into_iter().chain(full).collect();
    Candidate { id: &pod.id, names, ours: labels::name(&pod.labels).is_some() }
}

/// Tries whole ids first, then the command line's own names, then other names, then the beginning of ids.
///
/// `kinds` is the plural for the error when several candidates remain.
fn choose(kinds: &str, text: &str, candidates: &[Candidate<'_>]) -> Result<Option<usize>> {
    ensure!(!text.is_empty(), "the name is empty");
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
            [index] => return Ok(Some(index)),
            ref several => {
                let ids: Vec<_> = several
                    .iter()
                    .map(|&index| candidates[index].id.get(..12).unwrap_or(candidates[index].id))
                    .collect();
                bail!("{text:?} could mean any of {} {kinds}: {}; write more of the id", ids.len(), ids.join(", "));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Option<&'static str>> {
        let rows = [
            ("abcd1", "web", true),
            ("abcd2", "web", false),
            ("ff001", "abcd1", false),
            ("ff002", "side", false),
            ("ff003", "side", false),
        ];
        let candidates: Vec<_> =
            rows.iter().map(|&(id, name, ours)| Candidate { id, names: vec![name.into()], ours }).collect();
        Ok(choose("containers", text, &candidates)?.map(|index| rows[index].0))
    }

    #[test]
    fn whole_ids_win_then_our_names_then_others_then_prefixes() {
        for (text, id) in
            [("abcd1", "abcd1"), ("abcd2", "abcd2"), ("web", "abcd1"), ("ff001", "ff001"), ("ff003", "ff003")]
        {
            assert_eq!(found(text).expect(text), Some(id));
        }
    }

    #[test]
    fn a_guess_is_never_made() {
        assert!(found("abcd").expect_err("two ids").to_string().contains("abcd1, abcd2"));
        assert!(found("side").expect_err("two names").to_string().contains("2 containers"));
        for text in ["none", "w", "ABCD1", "0"] {
            assert_eq!(found(text).expect(text), None);
        }
        assert!(found("").is_err());
    }
}
