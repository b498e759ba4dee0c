// SPDX-License-Identifier: Apache-2.0
//! The two forms of a list: one message, or a stream of messages when one cannot hold everything.

use gorae_node::error::{Error, Kind, Result};
use prost::Message;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Response, Status};

/// The largest request and the largest response, in bytes: kubelet's own limits.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Most items in one message of a Stream* list.
const STREAM_BATCH: usize = 64;
/// Most bytes in one message of a Stream* list, unless a single item is larger. By default, gRPC clients accept 4 MiB.
const STREAM_BYTES: usize = 3 << 20;

/// A server stream of the CRI.
pub type Items<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// The response of a list, if clients can accept it; `streamed` is the call that returns the same list in parts.
///
/// # Errors
/// `ResourceExhausted` when the message is larger than clients accept.
pub fn whole<M: Message>(list: M, streamed: &str) -> Result<M> {
    let bytes = list.encoded_len();
    if bytes <= MAX_MESSAGE {
        return Ok(list);
    }
    let why = format!("the list is {bytes} bytes, but clients accept {MAX_MESSAGE}: set a filter, or call {streamed}");
    Err(Error::new(Kind::ResourceExhausted, why))
}

/// The response of a Stream* list: messages with a few items each, in the order of the list.
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
    async fn a_message_of_a_stream_is_bounded_in_items_and_bytes() {
        let item = |bytes| cri::Container { id: "x".repeat(bytes), ..Default::default() };
        assert!(sizes(Vec::new()).await.is_empty());
        assert_eq!(sizes(vec![item(1); 130]).await, [64, 64, 2]);
        assert_eq!(sizes(vec![item(2 << 20); 3]).await, [1, 1, 1]);
        assert_eq!(sizes(vec![item(5 << 20), item(1)]).await, [1, 1], "a single item may be larger");
    }

    #[test]
    fn a_list_that_no_client_would_accept_names_the_call_that_returns_it_in_parts() {
        let item = cri::Container { id: "x".repeat(MAX_MESSAGE), ..Default::default() };
        let error = whole(cri::ListContainersResponse { containers: vec![item] }, "StreamContainers");
        let error = error.expect_err("too large");
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert!(error.to_string().contains("StreamContainers"), "{error}");
    }
}
