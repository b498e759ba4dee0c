// SPDX-License-Identifier: Apache-2.0
//! The index of images and names in memory: an immutable value that each change replaces. Pure.

use crate::image::{Image, Top};
use gorae_digest::Digest;
use gorae_image_formats::reference::Reference;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An id prefix matches more than one image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} matches more than one image id")]
pub struct Ambiguous(pub String);

/// The images by id, and the ids by name.
#[derive(Debug, Default, Clone)]
pub struct Index {
    images: BTreeMap<Digest, Arc<Image>>,
    names: HashMap<String, Digest>,
}

impl Index {
    /// The image with an id.
    pub fn image(&self, id: &Digest) -> Option<&Arc<Image>> {
        self.images.get(id)
    }

    /// All images, ordered by id.
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.images.values().cloned().collect()
    }

    /// All images.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// The image that a normalised name refers to.
    pub fn named(&self, name: &str) -> Option<&Arc<Image>> {
        self.names.get(name).and_then(|id| self.images.get(id))
    }

    /// Finds an image by id, name or id prefix, in this order.
    ///
    /// # Errors
    /// [`Ambiguous`] when a prefix matches more than one id. No match is `None`.
    pub fn find(&self, any: &str) -> Result<Option<Arc<Image>>, Ambiguous> {
        let bare = any.strip_prefix("sha256:").unwrap_or(any);
        if let Ok(id) = Digest::parse(&format!("sha256:{bare}")) {
            return Ok(self.images.get(&id).cloned());
        }
        if let Some(image) = Reference::parse(any).ok().and_then(|name| self.named(&name.to_string())) {
            return Ok(Some(Arc::clone(image)));
        }
        if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Ok(None);
        }
        let mut fitting = self.images.values().filter(|image| image.id["sha256:".len()..].starts_with(bare));
        match (fitting.next(), fitting.next()) {
            (Some(_), Some(_)) => Err(Ambiguous(any.chars().take(80).collect())),
            (first, _) => Ok(first.cloned()),
        }
    }

    /// Adds an image, unless it is known, and points names to it. Names are removed from the images they pointed to before.
    pub fn with(&self, id: &Digest, image: Image, names: &[String]) -> Self {
        let mut next = self.clone();
        match next.images.get(id) {
            // The same image, but now checked for implied directories.
            Some(known) if known.top == Top::Unknown && image.top != Top::Unknown => {
                let (repo_tags, repo_digests) = (known.repo_tags.clone(), known.repo_digests.clone());
                next.images.insert(id.clone(), Arc::new(Image { repo_tags, repo_digests, ..image }));
            }
            Some(_) => {}
            None => drop(next.images.insert(id.clone(), Arc::new(image))),
        }
        for name in names {
            if let Some(before) = next.names.insert(name.clone(), id.clone()).filter(|before| before != id) {
                next.rename(&before, |image| {
                    image.repo_tags.retain(|known| known != name);
                    image.repo_digests.retain(|known| known != name);
                });
            }
            next.rename(id, |image| {
                let list = if name.contains('@') { &mut image.repo_digests } else { &mut image.repo_tags };
                if let Err(place) = list.binary_search(name) {
                    list.insert(place, name.clone());
                }
            });
        }
        next
    }

    /// Removes an image and its names.
    pub fn without(&self, id: &Digest) -> Self {
        let mut next = self.clone();
        next.images.remove(id);
        next.names.retain(|_, named| named != id);
        next
    }

    /// Removes some names of an image but keeps the image.
    pub fn without_names(&self, id: &Digest, names: &[String]) -> Self {
        let mut next = self.clone();
        for name in names {
            next.names.remove(name);
        }
        next.rename(id, |image| {
            image.repo_tags.retain(|known| !names.contains(known));
            image.repo_digests.retain(|known| !names.contains(known));
        });
        next
    }

    fn rename(&mut self, id: &Digest, change: impl FnOnce(&mut Image)) {
        if let Some(image) = self.images.get_mut(id) {
            let mut changed = Image::clone(image);
            change(&mut changed);
            *image = Arc::new(changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &Digest) -> Image {
        let (repo_tags, repo_digests, layers) = (Vec::new(), Vec::new(), Vec::new());
        let top = Top::Nothing;
        Image { id: id.to_string(), repo_tags, repo_digests, size: 1, config: Arc::default(), layers, top }
    }

    #[test]
    fn an_image_is_found_by_id_name_and_unique_prefix() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let names = ["docker.io/library/a:latest".to_owned(), format!("docker.io/library/a@{b}")];
        let index = Index::default().with(&a, image(&a), &names).with(&b, image(&b), &[]);
        for any in [
            a.to_string().as_str(),
            a.hex(),
            &a.hex()[..12],
            &a.to_string()[..20],
            "a",
            "a:latest",
            "docker.io/library/a",
        ] {
            assert_eq!(index.find(any).unwrap().expect(any).id, a.to_string(), "{any}");
        }
        assert_eq!(index.find(&format!("a@{b}")).unwrap().expect("by digest").id, a.to_string());
        for any in ["a:other", "", "zz", "sha256:", "b", &format!("b@{b}"), &"0".repeat(64), "Not A Name"] {
            assert!(index.find(any).unwrap().is_none(), "{any}");
        }
    }

    #[test]
    fn a_prefix_of_two_ids_is_refused() {
        let mut index = Index::default();
        for n in 0..17u8 {
            let id = Digest::of(&[n]);
            index = index.with(&id, image(&id), &[]);
        }
        // Seventeen ids cannot all begin with different hex digits.
        let ambiguous = "0123456789abcdef".chars().filter(|c| index.find(&c.to_string()).is_err()).count();
        assert!(ambiguous > 0);
    }

    #[test]
    fn a_tag_that_moves_leaves_its_old_image_untagged() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let tag = "h.io/x:1".to_owned();
        let index = Index::default().with(&a, image(&a), std::slice::from_ref(&tag)).with(
            &b,
            image(&b),
            std::slice::from_ref(&tag),
        );
        assert!(index.image(&a).unwrap().repo_tags.is_empty());
        assert_eq!(index.image(&b).unwrap().repo_tags, std::slice::from_ref(&tag));
        let index = index.without(&b);
        assert!(index.named(&tag).is_none());
        assert_eq!(index.list().len(), 1);
    }
}
