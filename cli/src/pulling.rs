// SPDX-License-Identifier: Apache-2.0
//! Fetching an image: for `pull`, and for `run` when the image is not here.

use crate::client::Client;
use crate::commands::Context;
use crate::credentials;
use crate::failure::refused;
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
    let answer = client.images().pull_image(request).await;
    Ok(answer.map_err(refused(|| format!("pull {image}")))?.into_inner().image_ref)
}
