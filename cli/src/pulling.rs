// SPDX-License-Identifier: Apache-2.0
//! Pulling an image: for `pull`, and for `run` when the image is not on this machine.

use crate::client::Client;
use crate::context::Context;
use crate::failure::refused;
use crate::{credentials, progress};
use anyhow::{Error, Result};
use gorae_proto::cri;
use tonic::{Code, Status};

/// When `run` pulls the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    /// Before every run
    Always,
    /// When it is not on this machine
    Missing,
    /// Never; the image has to be on this machine
    Never,
}

/// Pulls one image, shows the progress unless quiet, and returns the image's id on this machine.
///
/// # Errors
/// When Docker's config.json cannot be read, or the pull fails. The error begins with what to do next when that is known.
pub async fn pull(client: &Client, context: &Context, image: &str) -> Result<String> {
    let request = cri::PullImageRequest {
        image: Some(cri::ImageSpec { image: image.to_owned(), ..Default::default() }),
        auth: credentials::find(&context.environment, image)?,
        ..Default::default()
    };
    let shown = shown(image);
    context.output.remark(&format!("pulling {shown}"));
    let mut images = client.images();
    let answer = images.pull_image(request);
    let answer = match context.output.quiet {
        true => answer.await,
        false => beside(answer, progress::show(client, image)).await,
    };
    Ok(answer.map_err(|status| not_pulled(shown, status))?.into_inner().image_ref)
}

/// An image name as it may appear in messages: without user and password before the registry. Such a name is invalid, and
/// the daemon will refuse it.
pub fn shown(image: &str) -> &str {
    match image.rsplit_once('@') {
        Some((before, digest)) if digest.starts_with("sha256:") || digest.starts_with("sha512:") => {
            &image[before.rfind('@').map_or(0, |at| at + 1)..]
        }
        Some((_, name)) => name,
        None => image,
    }
}

/// The error of a failed pull: what to do first, then what happened.
fn not_pulled(image: &str, status: Status) -> Error {
    let next = match status.code() {
        Code::InvalidArgument => Some("write the image as NAME[:TAG] or NAME@DIGEST"),
        Code::NotFound => Some("check the image's name and tag"),
        Code::Unauthenticated | Code::PermissionDenied => {
            Some("check the image's name, and the registry's credentials in Docker's config.json")
        }
        Code::Unknown if status.message().contains("RegistryUnavailable") => {
            Some("check the registry's name, and this machine's connection to it")
        }
        Code::ResourceExhausted => Some("make room on the daemon's disk"),
        _ => None,
    };
    let error = refused(|| format!("pull {image}"))(status);
    match next {
        Some(next) => error.context(next),
        None => error,
    }
}

/// Runs `work` to its end, and `picture` concurrently, but no longer than that.
async fn beside<T>(work: impl Future<Output = T>, picture: impl Future<Output = ()>) -> T {
    tokio::pin!(work);
    tokio::select! {
        result = &mut work => return result,
        () = picture => {}
    }
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_before_a_registry_is_not_shown() {
        for (image, words) in [
            ("busybox:1", "busybox:1"),
            ("app@sha256:12", "app@sha256:12"),
            ("u:p@reg.io/app", "reg.io/app"),
            ("u:p@q@reg.io/app@sha256:12", "reg.io/app@sha256:12"),
        ] {
            assert_eq!(shown(image), words);
        }
    }

    #[test]
    fn the_first_words_about_a_failed_pull_say_what_to_do() {
        let rows = [
            (Status::invalid_argument("bad"), "write the image as NAME[:TAG] or NAME@DIGEST: pull x: bad"),
            (Status::not_found("gone"), "check the image's name and tag: pull x: gone"),
            (
                Status::unknown("RegistryUnavailable: r"),
                "check the registry's name, and this machine's connection to it: pull x: ",
            ),
            (Status::data_loss("digest"), "pull x: digest"),
        ];
        for (status, words) in rows {
            let error = not_pulled("x", status);
            assert!(format!("{error:#}").starts_with(words), "{error:#}");
            assert!(crate::failure::code(&error).is_some());
        }
    }
}
