// SPDX-License-Identifier: Apache-2.0
//! Fetching an image: for `pull`, and for `run` when the image is not here.

use crate::client::Client;
use crate::commands::Context;
use crate::failure::refused;
use crate::{credentials, progress};
use anyhow::Result;
use gorae_proto::cri;

/// Fetches one image and returns the id that it has here.
pub async fn pull(client: &Client, context: &Context, image: &str) -> Result<String> {
    let request = cri::PullImageRequest {
        image: Some(cri::ImageSpec { image: image.to_owned(), ..Default::default() }),
        auth: credentials::find(&context.environment, image)?,
        ..Default::default()
    };
    context.output.remark(&format!("pulling {image}"));
    let mut images = client.images();
    let answer = images.pull_image(request);
    let answer = match context.output.quiet {
        true => answer.await,
        false => beside(answer, progress::show(client, image)).await,
    };
    Ok(answer.map_err(refused(|| format!("pull {image}")))?.into_inner().image_ref)
}

/// Runs `picture` for as long as `work` takes.
async fn beside<T>(work: impl Future<Output = T>, picture: impl Future<Output = ()>) -> T {
    tokio::pin!(work);
    tokio::select! {
        result = &mut work => return result,
        () = picture => {}
    }
    work.await
}
