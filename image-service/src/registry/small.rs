// SPDX-License-Identifier: Apache-2.0
//! Fetches small objects whole from the first host that has them: manifests, configs and the headers of both.

use crate::registry::ask::Ask;
use crate::registry::endpoint::Endpoint;
use crate::registry::endpoints::Registry;
use crate::registry::error::{Error, Failure};
use crate::registry::pace::Pace;
use crate::registry::turns::{Failures, Turns};
use crate::registry::wait::Wait;
use bytes::Bytes;
use gorae_digest::{Digest, Hasher};
use http::{HeaderMap, Method};

impl Registry {
    /// Fetches a small object from the first host that provides it.
    ///
    /// # Errors
    /// [`Error`], among them `Digest` and `TooLarge`.
    pub async fn small(&self, ask: &Ask<'_>, by_tag: bool, limit: u64) -> Result<(HeaderMap, Bytes), Error> {
        let wait = self.waits.begin(&self.config, ask.what);
        wait.watch(self.small_watched(ask, by_tag, limit, &wait)).await
    }

    async fn small_watched(
        &self,
        ask: &Ask<'_>,
        by_tag: bool,
        limit: u64,
        wait: &Wait,
    ) -> Result<(HeaderMap, Bytes), Error> {
        let mut failures = Failures::default();
        let mut turns =
            Turns::new(self, |endpoint| if by_tag { endpoint.site.host.resolve } else { endpoint.site.host.pull });
        while let Some((place, allowed)) = turns.next(self, &failures) {
            let endpoint = &self.endpoints[place];
            wait.ask(&endpoint.site.name());
            for attempt in 0..allowed {
                let is_last = attempt + 1 == allowed;
                let failure = match self.small_from(endpoint, ask, limit, wait).await {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => failure,
                };
                let over = is_last.then_some(self.config.unreached_pause);
                match failures.note(endpoint, failure, over) {
                    Some(after) if !is_last => tokio::time::sleep(self.pause(attempt, after)).await,
                    _ => break,
                }
            }
        }
        Err(failures.into_error(ask.what))
    }

    async fn small_from(
        &self,
        endpoint: &Endpoint,
        ask: &Ask<'_>,
        limit: u64,
        wait: &Wait,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let mut answer = endpoint.send(ask).await?;
        let headers = answer.headers().clone();
        if ask.method == Method::HEAD {
            return Ok((headers, Bytes::new()));
        }
        let (mut body, mut pace, size) = (Vec::new(), Pace::new(&self.config), answer.content_length());
        while let Some(chunk) = pace.next(&mut answer, body.len() as u64, size).await? {
            wait.came(chunk.len());
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(Failure::Final(Error::TooLarge { what: ask.what.to_owned(), limit }));
            }
            body.extend_from_slice(&chunk);
        }
        if let Some(expected) = ask.digest.cloned().or_else(|| said(&headers)) {
            check(ask.what, &body, &expected).map_err(Failure::Final)?;
        }
        Ok((headers, Bytes::from(body)))
    }
}

/// The digest in the headers of a response.
pub fn said(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get("docker-content-digest")?.to_str().ok()?).ok()
}

fn check(what: &str, body: &[u8], expected: &Digest) -> Result<(), Error> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(body);
    let found = hasher.finish();
    if found == *expected {
        Ok(())
    } else {
        Err(Error::Digest { what: what.to_owned(), expected: expected.clone(), found })
    }
}
