// SPDX-License-Identifier: Apache-2.0
//! A directory to unpack into, with a neighbour that must not change.

use crate::error::Error;
use crate::inflate::BlobFacts;
use crate::layer::{Expected, layer};
use crate::limits::Limits;
use crate::pipe;
use crate::unpacked::Layer;
use bytes::Bytes;
use gorae_digest::Digest;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// A layer directory with a canary beside it.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("layer")).unwrap();
        fs::write(dir.path().join("canary"), "alive").unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("layer").join(name)
    }

    pub fn unpack_with(&self, blob: &[u8], plain: &[u8], limits: Limits) -> Result<Layer, Error> {
        let expected = Expected {
            blob: BlobFacts { digest: Digest::of(blob), size: blob.len() as u64 },
            diff_id: Digest::of(plain),
        };
        self.unpack_expecting(blob, &expected, limits)
    }

    pub fn unpack_expecting(&self, blob: &[u8], expected: &Expected, limits: Limits) -> Result<Layer, Error> {
        self.unpack_in(1000, blob, expected, limits)
    }

    /// Unpacks a blob that arrives in chunks of `chunk` bytes.
    pub fn unpack_in(&self, chunk: usize, blob: &[u8], expected: &Expected, limits: Limits) -> Result<Layer, Error> {
        let (sink, source) = pipe::pipe(1024);
        let feeder = {
            let chunks: Vec<Bytes> = blob.chunks(chunk).map(Bytes::copy_from_slice).collect();
            std::thread::spawn(move || {
                for chunk in chunks {
                    if sink.send_blocking(chunk).is_err() {
                        return;
                    }
                }
                let _ = sink.end_blocking();
            })
        };
        let directory = fs::File::open(self.path("")).unwrap().into();
        let result = layer(source, directory, expected, &limits, &AtomicU64::new(0));
        feeder.join().unwrap();
        assert_eq!(fs::read_to_string(self.dir.path().join("canary")).unwrap(), "alive", "the canary was touched");
        assert_eq!(fs::read_dir(self.dir.path().join("outside")).unwrap().count(), 0, "something was written outside");
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 3, "something was made outside");
        result
    }

    pub fn unpack(&self, tar: &[u8]) -> Result<Layer, Error> {
        self.unpack_with(tar, tar, Limits::default())
    }
}

pub fn names_below(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let n = rustix::fs::lgetxattr(path, name, &mut buffer[..]).ok()?;
    buffer.truncate(n);
    Some(buffer)
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
