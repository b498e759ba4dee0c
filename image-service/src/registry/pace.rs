// SPDX-License-Identifier: Apache-2.0
//! The minimum pace of a body. If only silence counted, a host that sends a byte now and then could hang a pull forever.
//!
//! Each [`Config::stall_floor_bytes`] of a body must arrive within [`Config::stall_timeout`]. Only time spent waiting for
//! data counts: while the unpacker is busy nothing is read, and the host may not even be able to send.

use crate::config::Config;
use crate::registry::error::Failure;
use bytes::Bytes;
use reqwest::Response;
use std::time::{Duration, Instant};

/// The pace of one body.
#[derive(Debug)]
pub struct Pace {
    window: Duration,
    floor: u64,
    /// The part of the window that was spent so far; `came` bytes arrived in it.
    waited: Duration,
    came: u64,
}

impl Pace {
    /// Starts with a body that begins now.
    pub fn new(config: &Config) -> Self {
        let (window, floor) = (config.stall_timeout, config.stall_floor_bytes.max(1));
        Self { window, floor, waited: Duration::ZERO, came: 0 }
    }

    /// Returns the next piece of a body, of which `at` bytes of `size` have arrived; `None` at its end.
    ///
    /// - Cancel: no bytes are lost.
    ///
    /// # Errors
    /// `Passing` if the connection breaks or is too slow, with the number of bytes and the time.
    pub async fn next(&mut self, body: &mut Response, at: u64, size: Option<u64>) -> Result<Option<Bytes>, Failure> {
        let begun = Instant::now();
        let left = self.window.saturating_sub(self.waited);
        let Ok(piece) = tokio::time::timeout(left, body.chunk()).await else {
            let size = size.map_or_else(String::new, |size| format!(" of {size}"));
            let why = format!("{} bytes in {:?}, at {at}{size}", self.came, self.window);
            return Err(Failure::Passing { why, after: None });
        };
        let piece = piece.map_err(Failure::transport)?;
        self.waited += begun.elapsed();
        self.came += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.came >= self.floor {
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(400);
    const FLOOR: u64 = 1000;

    /// A body of pieces, each sent after its pause.
    fn body<const N: usize>(pieces: [(Duration, u64); N]) -> Response {
        let pieces = futures_util::stream::unfold(pieces.into_iter(), async |mut pieces| {
            let (pause, bytes) = pieces.next()?;
            tokio::time::sleep(pause).await;
            Some((Ok::<_, std::io::Error>(vec![b'x'; bytes as usize]), pieces))
        });
        http::Response::new(reqwest::Body::wrap_stream(pieces)).into()
    }

    /// Reads a body, and is busy for `busy` after each piece.
    async fn read(mut body: Response, busy: Duration) -> Result<u64, String> {
        let mut config = Config::new("/x");
        (config.stall_timeout, config.stall_floor_bytes) = (WINDOW, FLOOR);
        let (mut pace, mut read) = (Pace::new(&config), 0);
        loop {
            match pace.next(&mut body, read, Some(9999)).await {
                Ok(Some(piece)) => read += piece.len() as u64,
                Ok(None) => return Ok(read),
                Err(Failure::Passing { why, .. }) => return Err(why),
                Err(error) => panic!("{error:?}"),
            }
            tokio::time::sleep(busy).await;
        }
    }

    #[tokio::test]
    async fn silence_and_drops_are_too_slow() {
        let (quick, long) = (Duration::ZERO, WINDOW * 10);
        let silent = body([(quick, 10), (long, 10)]);
        assert_eq!(read(silent, quick).await, Err("10 bytes in 400ms, at 10 of 9999".to_owned()));
        let after_much = body([(quick, FLOOR), (long, 10)]);
        assert_eq!(read(after_much, quick).await, Err("0 bytes in 400ms, at 1000 of 9999".to_owned()));
        let dripping = body([(WINDOW / 8, 1); 100]);
        let why = read(dripping, quick).await.unwrap_err();
        let came: u64 = why.split(' ').next().unwrap().parse().unwrap();
        assert!((1..=8).contains(&came) && why.ends_with(&format!("at {came} of 9999")), "{why}");
    }

    #[tokio::test]
    async fn a_body_may_take_any_time_at_the_least_pace() {
        let enough = body([(WINDOW / 8, FLOOR / 2); 10]);
        assert_eq!(read(enough, Duration::ZERO).await, Ok(FLOOR * 5));
        let small = body([(WINDOW / 4, 1)]);
        assert_eq!(read(small, Duration::ZERO).await, Ok(1));
    }

    #[tokio::test]
    async fn the_time_of_a_busy_reader_does_not_count() {
        let little = body([(Duration::ZERO, 1); 5]);
        assert_eq!(read(little, WINDOW / 2).await, Ok(5));
    }
}
