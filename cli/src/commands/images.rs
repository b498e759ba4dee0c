// SPDX-License-Identifier: Apache-2.0
//! `gorae images`.

use crate::context::Context;
use crate::failure::refused;
use crate::output::table::{short, size, table};
use anyhow::Result;
use gorae_proto::cri;
use serde::Serialize;

/// The arguments of `images`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show digests instead of ids
    #[arg(long)]
    digests: bool,
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
}

/// One tag of one image.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Row {
    repository: String,
    tag: String,
    id: String,
    digest: String,
    size_bytes: u64,
    pinned: bool,
}

/// Lists the images by name.
///
/// # Errors
/// When the daemon refuses the list, or the table cannot be printed.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let answer = client.images().list_images(cri::ListImagesRequest::default()).await;
    let images = answer.map_err(refused(|| "list images"))?.into_inner().images;
    let mut rows: Vec<Row> = images.iter().flat_map(rows).collect();
    rows.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
    if context.output.quiet {
        rows.dedup_by(|a, b| a.id == b.id);
    }
    let id = |row: &Row| if args.no_trunc { row.id.clone() } else { short(&row.id) };
    context.output.list(&rows, id, |rows| {
        let heading = if args.digests { "DIGEST" } else { "IMAGE ID" };
        let cells = |row: &Row| {
            let id = if args.digests { row.digest.clone() } else { id(row) };
            [row.repository.clone(), row.tag.clone(), id, size(row.size_bytes)]
        };
        table(["REPOSITORY", "TAG", heading, "SIZE"], rows.iter().map(cells))
    })?;
    Ok(0)
}

/// One row for each tag of an image, and one for an image without tags.
fn rows(image: &cri::Image) -> Vec<Row> {
    let digest_in = |repository: &str| {
        let found = image.repo_digests.iter().find_map(|d| d.strip_prefix(repository)?.strip_prefix('@'));
        found.unwrap_or("<none>").to_owned()
    };
    let row = |repository: &str, tag: &str| Row {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        id: image.id.clone(),
        digest: digest_in(repository),
        size_bytes: image.size,
        pinned: image.pinned,
    };
    if image.repo_tags.is_empty() {
        let repository =
            image.repo_digests.first().and_then(|digest| digest.split_once('@')).map_or("<none>", |(r, _)| r);
        return vec![row(repository, "<none>")];
    }
    image
        .repo_tags
        .iter()
        .map(|name| name.rsplit_once(':').map_or_else(|| row(name, "<none>"), |(r, t)| row(r, t)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_row_for_each_of_its_tags() {
        let image = cri::Image {
            id: "sha256:aa".into(),
            repo_tags: vec!["localhost:5000/a:1".into(), "docker.io/library/b:latest".into()],
            repo_digests: vec!["localhost:5000/a@sha256:dd".into()],
            ..Default::default()
        };
        let rows = rows(&image);
        assert_eq!(
            (rows[0].repository.as_str(), rows[0].tag.as_str(), rows[0].digest.as_str()),
            ("localhost:5000/a", "1", "sha256:dd")
        );
        assert_eq!((rows[1].repository.as_str(), rows[1].digest.as_str()), ("docker.io/library/b", "<none>"));
    }

    #[test]
    fn an_image_without_a_tag_still_shows_where_it_came_from() {
        let image = cri::Image { repo_digests: vec!["r.example/a@sha256:dd".into()], ..Default::default() };
        assert_eq!((rows(&image)[0].repository.as_str(), rows(&image)[0].tag.as_str()), ("r.example/a", "<none>"));
        assert_eq!(rows(&cri::Image::default())[0].repository, "<none>");
    }
}
