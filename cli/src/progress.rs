// SPDX-License-Identifier: Apache-2.0
//! The progress of a pull: one bar per layer on a terminal, one line per layer elsewhere.
//!
//! It goes to standard error, so that standard output contains only the result.

use crate::client::Client;
use crate::output;
use crate::output::table::short;
use gorae_proto::gorae::images_client::ImagesClient;
use gorae_proto::gorae::{LayerProgress, PullProgressRequest, PullProgressUpdate, PullStage};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashSet;
use std::io::IsTerminal;
use std::time::Duration;

/// The most layers drawn: more would not fit on a screen, and the list comes from a registry.
const MAX_BARS: usize = 32;

/// Shows the progress of the pull of `image` until the daemon reports its end. Never fails: without progress from the
/// daemon, nothing is shown.
pub async fn show(client: &Client, image: &str) {
    let mut images = ImagesClient::new(client.channel());
    let request = PullProgressRequest { reference: image.to_owned() };
    let Ok(answer) = images.pull_progress(request).await else { return };
    let mut updates = answer.into_inner();
    let mut picture = match std::io::stderr().is_terminal() {
        true => Picture::Bars(Bars::new()),
        false => Picture::Lines(Lines::default()),
    };
    while let Ok(Some(update)) = updates.message().await {
        match &mut picture {
            Picture::Bars(bars) => bars.draw(&update),
            Picture::Lines(lines) => lines.news(&update).iter().for_each(|line| output::remark(line)),
        }
    }
}

enum Picture {
    Bars(Bars),
    Lines(Lines),
}

/// A spinner for the stage, and a bar for each layer. Dropping it clears them from the screen.
struct Bars {
    all: MultiProgress,
    stage: ProgressBar,
    layers: Vec<ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let stage = all.add(ProgressBar::new_spinner());
        stage.enable_steady_tick(Duration::from_millis(120));
        Self { all, stage, layers: Vec::new() }
    }

    fn draw(&mut self, update: &PullProgressUpdate) {
        self.stage.set_message(match update.waiting.as_str() {
            "" => stage_words(update.stage()).to_owned(),
            waiting => output::escape::plain(waiting).into_owned(),
        });
        for layer in update.layers.iter().take(MAX_BARS).skip(self.layers.len()) {
            self.layers.push(self.all.insert_before(&self.stage, layer_bar(layer)));
        }
        for (bar, layer) in self.layers.iter().zip(&update.layers) {
            bar.set_length(layer.total.max(1));
            bar.set_position(if layer.done { layer.total.max(1) } else { layer.downloaded });
            bar.set_message(layer_words(layer));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.stage.finish_and_clear();
        for bar in &self.layers {
            bar.finish_and_clear();
        }
    }
}

fn layer_bar(layer: &LayerProgress) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:12} {bar:30} {binary_bytes:>10} / {binary_total_bytes:<10} {msg}");
    let bar =
        ProgressBar::new(layer.total.max(1)).with_prefix(output::escape::plain(&short(&layer.digest)).into_owned());
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn layer_words(layer: &LayerProgress) -> &'static str {
    match layer {
        LayerProgress { done: true, .. } => "done",
        LayerProgress { downloaded: 0, .. } => "waiting",
        LayerProgress { downloaded, total, .. } if downloaded < total => "downloading",
        _ => "unpacking",
    }
}

fn stage_words(stage: PullStage) -> &'static str {
    match stage {
        PullStage::Waiting => "waiting",
        PullStage::Resolving => "asking the registry",
        PullStage::Layers => "downloading layers",
        PullStage::Committing => "writing to disk",
        PullStage::Done => "done",
        PullStage::Failed => "failed",
    }
}

/// Progress as text: each layer is reported once, when it is done, and each long wait once, when it begins.
#[derive(Default)]
struct Lines {
    reported: HashSet<String>,
    waits: bool,
}

impl Lines {
    fn news(&mut self, update: &PullProgressUpdate) -> Vec<String> {
        let done = update.layers.iter().filter(|layer| layer.done);
        let fresh = done.filter(|layer| self.reported.insert(layer.digest.clone()));
        let waited = std::mem::replace(&mut self.waits, !update.waiting.is_empty());
        let waiting = (self.waits && !waited).then(|| output::escape::plain(&update.waiting).into_owned());
        fresh
            .map(|layer| {
                format!("{} done ({})", output::escape::plain(&short(&layer.digest)), output::table::size(layer.total))
            })
            .chain(waiting)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(digest: &str, downloaded: u64, done: bool) -> LayerProgress {
        LayerProgress { digest: digest.into(), total: 2000, downloaded, unpacked: 0, done }
    }

    #[test]
    fn without_a_terminal_each_layer_is_reported_once() {
        let mut lines = Lines::default();
        let update = |layers: &[LayerProgress]| PullProgressUpdate {
            stage: PullStage::Layers.into(),
            layers: layers.to_vec(),
            waiting: String::new(),
        };
        assert!(lines.news(&update(&[layer("sha256:aa", 5, false)])).is_empty());
        let both = update(&[layer("sha256:aa", 2000, true), layer("sha256:b\x1b[2J", 0, true)]);
        assert_eq!(lines.news(&both), ["aa done (2.00 kB)", "b\\x1b[2J done (2.00 kB)"]);
        assert!(lines.news(&both).is_empty());
    }

    #[test]
    fn without_a_terminal_each_long_wait_is_reported_once() {
        let mut lines = Lines::default();
        let update = |waiting: &str| PullProgressUpdate {
            stage: PullStage::Resolving.into(),
            layers: Vec::new(),
            waiting: waiting.to_owned(),
        };
        assert!(lines.news(&update("")).is_empty());
        assert_eq!(lines.news(&update("waiting for a\x1b[2J for 15 s: x")), ["waiting for a\\x1b[2J for 15 s: x"]);
        assert!(lines.news(&update("waiting for a for 16 s: x")).is_empty());
        assert!(lines.news(&update("")).is_empty());
        assert_eq!(lines.news(&update("waiting for b for 15 s: y")), ["waiting for b for 15 s: y"]);
    }

    #[test]
    fn each_layer_shows_what_it_is_doing() {
        for (downloaded, done, words) in
            [(0, false, "waiting"), (5, false, "downloading"), (2000, false, "unpacking"), (0, true, "done")]
        {
            assert_eq!(layer_words(&layer("a", downloaded, done)), words);
        }
    }
}
