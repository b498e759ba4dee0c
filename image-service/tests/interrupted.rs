// SPDX-License-Identifier: Apache-2.0
//! Layers whose download is cut, from registries that give no usable response for the rest.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::Node;
use fixture::image::{Flavour, Image, Packing, image, layer, noise};
use fixture::odd::{Answer, Asked, Odd};

const SIZE: usize = 3 << 20;
const CUT: usize = 1 << 20;

fn big() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("noise", &noise(SIZE, 1))])])
}

fn layer_path(image: &Image) -> String {
    format!("/v2/r/blobs/{}", image.layers[0].blob.digest)
}

/// The requests for the layer, with the range that each requested.
fn asked_parts(server: &Odd, made: &Image) -> Vec<bool> {
    server.asked_for(&layer_path(made)).iter().map(|asked| asked.header("range").is_some()).collect()
}

fn is_whole(node: &Node, id: &str) {
    let held = node.images.hold(id, "c").unwrap();
    assert_eq!(std::fs::read(held.layers[0].join("noise")).unwrap(), noise(SIZE, 1));
}

/// A registry that cuts the layer once and then responds to requests for the rest with `rest`.
async fn cutting(made: &Image, first: Vec<u8>, rest: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Odd {
    let path = layer_path(made);
    Odd::serve(&[("1", made)], move |asked, before| {
        if asked.path.split('?').next() != Some(&path) {
            return None;
        }
        let cut = || Answer::new(200, first.clone()).header("etag", "\"one\"").cut_at(CUT);
        match asked.header("range") {
            Some(_) => Some(rest(asked)),
            None => (before == 0).then(cut),
        }
    })
    .await
}

/// The requested part of a blob.
fn part(asked: &Asked, bytes: &[u8]) -> Vec<u8> {
    let range = asked.header("range").unwrap().trim_start_matches("bytes=");
    bytes[range.split_once('-').unwrap().0.parse::<usize>().unwrap()..].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_odd_answer_for_the_rest_of_a_layer_begins_it_again_without_a_range() {
    let made = big();
    let bytes = made.layers[0].blob.bytes.clone();
    let (a, b, c, d, e) = (bytes.clone(), bytes.clone(), bytes.clone(), bytes.clone(), bytes.clone());
    type Rest = Box<dyn Fn(&Asked) -> Answer + Send + Sync>;
    let odd: Vec<(&str, Rest)> = vec![
        ("206 without Content-Range", Box::new(move |asked| Answer::new(206, part(asked, &a)))),
        ("200", Box::new(move |_| Answer::new(200, b.clone()))),
        ("400", Box::new(|_| Answer::new(400, ""))),
        ("403", Box::new(|_| Answer::new(403, ""))),
        ("404", Box::new(|_| Answer::new(404, ""))),
        ("416", Box::new(|_| Answer::new(416, ""))),
        ("501", Box::new(|_| Answer::new(501, ""))),
        ("503", Box::new(|_| Answer::new(503, ""))),
        (
            "another validator",
            Box::new(move |asked| {
                let range = format!("bytes {CUT}-{}/{}", c.len() - 1, c.len());
                Answer::new(206, part(asked, &c)).header("content-range", range).header("etag", "\"two\"")
            }),
        ),
        (
            "another size",
            Box::new(move |asked| {
                Answer::new(206, part(asked, &d)).header("content-range", format!("bytes {CUT}-{0}/{0}", d.len() + 5))
            }),
        ),
        (
            "a later part",
            Box::new(move |asked| {
                let range = format!("bytes {}-{}/{}", CUT + 7, e.len() - 1, e.len());
                Answer::new(206, part(asked, &e)).header("content-range", range)
            }),
        ),
    ];
    for (what, rest) in odd {
        let server = cutting(&made, bytes.clone(), rest).await;
        let node = Node::new();
        let pulled = node.images.pull(&format!("{}/r:1", server.address), None).await;
        let pulled = pulled.unwrap_or_else(|error| panic!("{what}: {}", error.message()));
        is_whole(&node, &pulled.id);
        let parts = asked_parts(&server, &made);
        let may_be_bad_luck = usize::from(what.starts_with('5'));
        assert_eq!(parts.first(), Some(&false), "{what}");
        assert_eq!(parts.last(), Some(&false), "{what}: the whole in the end");
        assert_eq!(parts.iter().filter(|part| **part).count(), 1 + may_be_bad_luck, "{what}: {parts:?}");
        assert_eq!(parts.len(), 3 + may_be_bad_luck, "{what}");
        node.settle();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_begins_again_has_nothing_of_its_first_beginning() {
    let made = big();
    let bytes = made.layers[0].blob.bytes.clone();
    // The bytes before the cut differ from those that the registry has now.
    let mut before = bytes.clone();
    before[CUT / 2] ^= 1;
    let now = bytes.clone();
    let server = cutting(&made, before, move |asked| {
        let range = format!("bytes {CUT}-{}/{}", now.len() - 1, now.len());
        Answer::new(206, part(asked, &now)).header("content-range", range).header("etag", "\"two\"")
    })
    .await;
    let node = Node::new();
    let name = format!("{}/r:1", server.address);
    let mut watch = node.images.progress(&name).unwrap();
    let watching = tokio::spawn(async move {
        let mut last = None;
        while let Some(progress) = watch.next().await {
            last = Some(progress);
        }
        last.unwrap()
    });
    let pulled = node.images.pull(&name, None).await.unwrap_or_else(|error| panic!("{}", error.message()));
    is_whole(&node, &pulled.id);
    let last = watching.await.unwrap();
    assert_eq!(last.layers[0].downloaded, bytes.len() as u64, "it is counted from the beginning");
    assert!(last.layers[0].unpacked < 2 * SIZE as u64, "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_one_new_beginning_before_the_next_host() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let mirror = Odd::serve(&[("1", &made)], move |asked, _| {
        let mine = asked.path.split('?').next() == Some(&path);
        mine.then(|| match asked.header("range") {
            Some(_) => Answer::new(403, ""),
            None => Answer::new(200, bytes.clone()).cut_at(CUT + 1000),
        })
    })
    .await;
    let server = Odd::serve(&[("1", &made)], |_, _| None).await;
    let node = Node::new();
    node.hosts("reg.test", &format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", server.address, mirror.address));
    let pulled = node.images.pull("reg.test/r:1", None).await.unwrap_or_else(|error| panic!("{}", error.message()));
    is_whole(&node, &pulled.id);
    assert_eq!(asked_parts(&mirror, &made), [false, true, false]);
    assert_eq!(asked_parts(&server, &made).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_always_cuts_and_never_resumes_is_given_up_with_its_numbers() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        (asked.path == path).then(|| match asked.header("range") {
            Some(_) => Answer::new(416, ""),
            None => Answer::new(200, bytes.clone()).cut_at(2 * CUT),
        })
    })
    .await;
    let node = Node::with(|c| c.attempts = 3);
    let error = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err();
    let text = error.message();
    assert!(text.contains(&format!("stalled at {} of {}", 2 * CUT, made.layers[0].blob.bytes.len())), "{text}");
    assert!(server.asked_for(&layer_path(&made)).len() <= 6, "{:?}", asked_parts(&server, &made));
    assert!(node.images.list().is_empty() && node.layers().is_empty());
    node.settle();
}
