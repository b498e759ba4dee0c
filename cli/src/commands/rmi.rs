// SPDX-License-Identifier: Apache-2.0
//! `gorae rmi`.

use crate::batch;
use crate::client::{Client, Detail};
use crate::context::Context;
use crate::failure::refused;
use crate::labels;
use crate::pulling::shown;
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri;
use gorae_proto::gorae::images_client::ImagesClient;
use gorae_proto::gorae::{NameRemoval, RemoveImageNameRequest};
use tonic::Code;

/// The arguments of `rmi`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove an image even if containers use it, or if it has several names and is given by id
    #[arg(short, long)]
    force: bool,
    /// Names or ids of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Removes the images, one after the other.
///
/// # Errors
/// When the daemon cannot be reached, or the names cannot be printed. An image that cannot be removed is
/// reported by the exit code.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    batch::act_on_each(&args.images, &context.output, 1, |name| remove(&client, name, args.force)).await
}

/// Removes one name if the image has others, otherwise the image.
async fn remove(client: &Client, name: &str, force: bool) -> Result<()> {
    let image = client.image(name, Detail::Plain).await?.and_then(|answer| answer.image);
    let image = image.with_context(|| format!("no such image: {:?}", shown(name)))?;
    match remove_name(client, name).await? {
        NameRemoval::Removed => return Ok(()),
        NameRemoval::LastName => {}
        NameRemoval::NoSuchName => ensure!(
            force || image.repo_tags.len() < 2,
            "image {name} has several names ({}): remove them one by one, or all at once with -f",
            image.repo_tags.join(", ")
        ),
    }
    if !force {
        let users = client.containers().await?;
        let users: Vec<_> = users.iter().filter(|c| c.image_id == image.id).map(labels::display_name).collect();
        ensure!(
            users.is_empty(),
            "image {name} is used by {}: remove these containers first, or use -f",
            users.join(", ")
        );
    }
    let request =
        cri::RemoveImageRequest { image: Some(cri::ImageSpec { image: name.to_owned(), ..Default::default() }) };
    client.images().remove_image(request).await.map_err(refused(|| format!("remove image {name}")))?;
    Ok(())
}

/// Asks Gorae's own service to remove one name. Another runtime does not have this service; it removes the image with
/// all its names.
async fn remove_name(client: &Client, name: &str) -> Result<NameRemoval> {
    let request = RemoveImageNameRequest { name: name.to_owned() };
    match ImagesClient::new(client.channel()).remove_image_name(request).await {
        Ok(answer) => Ok(answer.into_inner().outcome()),
        Err(status) if status.code() == Code::Unimplemented => Ok(NameRemoval::NoSuchName),
        Err(status) => Err(refused(|| format!("remove image {name}"))(status)),
    }
}
