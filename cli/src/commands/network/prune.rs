// SPDX-License-Identifier: Apache-2.0
//! `gorae network prune`.

use crate::clock::now;
use crate::context::Context;
use crate::failure::refused;
use crate::parse::filter::{self, filters};
use crate::parse::since::since;
use anyhow::{Context as _, Result, ensure};
use gorae_proto::gorae::PruneNetworksRequest;
use jiff::tz::TimeZone;
use std::io::{BufRead, IsTerminal, Read, Write};

/// The longest answer that is read: one line that a person types.
const MAX_ANSWER: u64 = 64;

/// The arguments of `network prune`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only networks made before a time (until=10m, until=2026-11-21), or with a label (label=KEY, label=KEY=VALUE)
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
}

/// Removes the networks that no container is in, and prints their names.
///
/// # Errors
/// When a filter has another form, nobody can be asked, or the daemon refuses.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let request = request(&args.filter, now(), &TimeZone::system())?;
    ensure!(
        args.force || std::io::stdin().is_terminal(),
        "use -f: nobody can be asked, because standard input is not a terminal"
    );
    let client = context.connect().await?;
    if !args.force && !agreed()? {
        return Ok(0);
    }
    let answer = client.networks().prune_networks(request).await.map_err(refused(|| "prune networks"))?;
    context.output.done(&answer.into_inner().names)?;
    Ok(0)
}

fn request(texts: &[String], now: i64, zone: &TimeZone) -> Result<PruneNetworksRequest> {
    let filters = filters(texts, &["label", "until"])?;
    let until = filters.get("until").map_or(&[][..], Vec::as_slice);
    ensure!(until.len() < 2, "the filter until is given {} times", until.len());
    let mut request = PruneNetworksRequest::default();
    if let Some(text) = until.first() {
        request.created_before = since(text, now, zone)?;
        ensure!(request.created_before > 0, "bad time {text:?}: it is before 1970-01-01");
    }
    for text in filters.get("label").into_iter().flatten() {
        let (key, value) = filter::label(text);
        ensure!(!key.is_empty() && !key.ends_with('!'), "bad filter label={text:?}: the form is label=KEY[=VALUE]");
        let twice = request.labels.insert(key.to_owned(), value.unwrap_or_default().to_owned());
        ensure!(twice.is_none(), "the filter label={key} is given twice");
    }
    Ok(request)
}

/// Asks on the terminal. Anything but a yes is a no.
fn agreed() -> Result<bool> {
    let mut screen = std::io::stderr().lock();
    write!(screen, "This removes all networks that no container is in, apart from those of the filters. Go on? [y/N] ")
        .and_then(|()| screen.flush())
        .context("ask on the terminal")?;
    let mut answer = String::new();
    std::io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer).context("read the answer from the terminal")?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(filters: &[&str]) -> Result<PruneNetworksRequest> {
        let texts: Vec<_> = filters.iter().map(|&text| text.to_owned()).collect();
        request(&texts, 1_795_241_752_000_000_000, &TimeZone::UTC)
    }

    #[test]
    fn filters_narrow_the_request() {
        assert_eq!(asked(&[]).expect("all"), PruneNetworksRequest::default());
        let asked = asked(&["until=10m", "label=team=x", "label=old"]).expect("valid");
        assert_eq!(asked.created_before, 1_795_241_152_000_000_000);
        let pairs = [("team", "x"), ("old", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(asked.labels, pairs.into());
    }

    #[test]
    fn a_filter_that_is_not_understood_removes_nothing() {
        for filters in [
            &["until=soon"][..],
            &["until=10m", "until=5m"],
            &["until=99999h99999d"],
            &["label!=keep"],
            &["label==x"],
            &["label=a=1", "label=a=2"],
            &["name=a"],
            &["all"],
        ] {
            assert!(asked(filters).is_err(), "{filters:?} was taken");
        }
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("n\n", false), ("yep\n", false)]
        {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
