// SPDX-License-Identifier: Apache-2.0
//! The two shapes of a list: one message, or a stream of messages for what one cannot hold.

use gorae_node::error::{Error, Kind, Result};
use prost::Message;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Response, Status};

/// The largest request and the largest answer, in bytes: kubelet's own limits.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Items in one message of a Stream* list.
const STREAM_BATCH: usize = 64;
/// Bytes in one message of a Stream* list, unless one item alone has more: a client that was told nothing takes 4 MiB.
const STREAM_BYTES: usize = 3 << 20;

/// A server stream of the CRI.
pub type Items<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// The answer of a list, when its client can take it; `streamed` is the call that gives the same in parts.
///
/// # Errors
/// `ResourceExhausted` when the message is larger than clients take.
pub fn whole<M: Message>(list: M, streamed: &str) -> Result<M> {
    let bytes = list.encoded_len();
    if bytes <= MAX_MESSAGE {
        return Ok(list);
    }
    let why = format!("the list has {bytes} bytes, and clients take {MAX_MESSAGE}: give a filter, or call {streamed}");
    Err(Error::new(Kind::ResourceExhausted, why))
}

/// The answer of a Stream* list: messages with some items each, in the order of the list.
pub fn batches<T, M>(items: Vec<T>, message: fn(Vec<T>) -> M) -> Response<Items<M>>
where
    T: Message + 'static,
    M: Send + 'static,
{
    let mut rest = items.into_iter().peekable();
    let messages = std::iter::from_fn(move || {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(item) = rest.next_if(|next| {
            bytes += next.encoded_len();
            batch.is_empty() || (batch.len() < STREAM_BATCH && bytes <= STREAM_BYTES)
        }) {
            batch.push(item);
        }
        (!batch.is_empty()).then(|| Ok(message(batch)))
    });
    Response::new(Box::pin(tokio_stream::iter(messages)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::cri;
    use tokio_stream::StreamExt;

    async fn sizes(items: Vec<cri::Container>) -> Vec<usize> {
        let message = |containers| cri::StreamContainersResponse { containers };
        let messages: Vec<_> = batches(items, message).into_inner().collect().await;
        messages.into_iter().map(|message| message.expect("no failure").containers.len()).collect()
    }

    #[tokio::test]
    async fn a_message_of_a_stream_has_few_items_and_not_many_bytes() {
        let item = |bytes| cri::Container { id: "x".repeat(bytes), ..Default::default() };
        assert!(sizes(Vec::new()).await.is_empty());
        assert_eq!(sizes(vec![item(1); 130]).await, [64, 64, 2]);
        assert_eq!(sizes(vec![item(2 << 20); 3]).await, [1, 1, 1]);
        assert_eq!(sizes(vec![item(5 << 20), item(1)]).await, [1, 1], "one item alone may have more");
    }

    #[test]
    fn a_list_that_no_client_would_take_names_the_call_that_gives_it_in_parts() {
        let item = cri::Container { id: "x".repeat(MAX_MESSAGE), ..Default::default() };
        let error = whole(cri::ListContainersResponse { containers: vec![item] }, "StreamContainers");
        let error = error.expect_err("too large");
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert!(error.to_string().contains("StreamContainers"), "{error}");
    }
}
