// SPDX-License-Identifier: Apache-2.0
//! `gorae-test-images HOST:PORT [--own]`: makes the test images and pushes them to a registry on loopback.
//!
//! `--own` leaves out the images of critest, which need Debian packages. `gorae-test-images --digest` prints the
//! digest of the image that critest pulls by digest. `gorae-test-images --here` makes them in `build/registry`, where
//! every test finds them, unless they are there.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use gorae_tests::images::{conformance, debian::Debian, own, push};
use gorae_tests::place;
use gorae_tests::registry::Registry;

fn main() -> Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let (registry, all) = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--digest"] => {
            println!("{}", conformance::by_digest().digest());
            return Ok(());
        }
        ["--here"] => return Registry::with_test_images().map(drop),
        [registry] => (*registry, true),
        [registry, "--own"] | ["--own", registry] => (*registry, false),
        _ => bail!("usage: gorae-test-images HOST:PORT [--own] | --digest | --here"),
    };
    let registry = push::Registry(registry.parse().with_context(|| format!("{registry} is no address with a port"))?);
    let mut images = own::images()?;
    if all {
        images.extend(conformance::images(&Debian::unpack(&place::packages())?)?);
    }
    for image in images {
        println!("{}:{} {}", image.repository, image.tags.join(","), registry.push(&image)?);
    }
    Ok(())
}
