//! Reads a request's body whole before anything is done about it.
//!
//! So no handler waits for a client, none sees a part of a body, and a client that sends slowly holds nothing but
//! its connection. What is wrong with a body is noted for the HTTP edge, which answers it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::{Body as _, Bytes, Incoming};

use crate::http::body::{Arrival, BodyLimits};

/// The most bytes of unfinished bodies that are kept at once, over all connections.
const KEPT: usize = 64 << 20;

/// How many bytes of unfinished bodies are kept now.
#[derive(Default)]
pub(super) struct Kept(AtomicUsize);

/// What one body has of it.
struct Share<'k> {
    kept: &'k Kept,
    bytes: usize,
}

impl Share<'_> {
    /// Whether so many more bytes may be kept.
    fn grow(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.kept.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= KEPT
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body, and how it came.
pub(super) async fn read(mut body: Incoming, limits: &BodyLimits, kept: &Kept) -> (Arrival, Bytes) {
    if body.is_end_stream() {
        return (Arrival::Whole, Bytes::new());
    }
    let most = limits.max_size.as_u64();
    if body.size_hint().lower() > most {
        return (Arrival::TooLarge, Bytes::new());
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match tokio::time::timeout(limits.read_timeout, collect(&mut body, most, kept)).await {
        Ok(Ok(bytes)) => (Arrival::Whole, bytes),
        Ok(Err(arrival)) => (arrival, Bytes::new()),
        Err(_) => (Arrival::Slow, Bytes::new()),
    }
}

async fn collect(body: &mut Incoming, most: usize, kept: &Kept) -> Result<Bytes, Arrival> {
    // Most bodies come in one piece, which is then neither copied nor counted.
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    let mut share = Share { kept, bytes: 0 };
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let Ok(piece) = frame.map_err(|_| Arrival::Cut)?.into_data() else {
            continue;
        };
        if first.is_empty() {
            first = piece;
        } else {
            if !share.grow(piece.len()) {
                return Err(Arrival::NoRoom);
            }
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&piece);
        }
        if first.len().max(whole.len()) > most {
            return Err(Arrival::TooLarge);
        }
        // A body of known length need not be asked whether there is more.
        if body.is_end_stream() {
            break;
        }
    }
    match whole.is_empty() {
        true => Ok(first),
        false => Ok(Bytes::from(whole)),
    }
}
