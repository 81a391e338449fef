//! Reads a request's body whole before anything is done about it.
//!
//! So no handler waits for a client, none sees a part of a body, and a client that sends slowly holds nothing but
//! its connection. What is wrong with a body is noted for the HTTP edge, which answers it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::{Body as _, Bytes, Incoming};

use crate::http::body::{Arrival, BodyLimits};

/// The most bytes a body may have that is not counted: so much every connection may have.
const SMALL: usize = 16 << 10;

/// How many bytes of large bodies are kept now, over all connections, and how many may be: of those that arrive, and
/// of those that came and were not answered yet.
pub(super) struct Kept {
    bytes: AtomicUsize,
    most: usize,
}

impl Kept {
    /// None yet, of so many.
    pub fn up_to(most: usize) -> Kept {
        let bytes = AtomicUsize::new(0);
        Kept { bytes, most }
    }
}

/// What one body has of it.
#[derive(Default)]
pub(super) struct Share {
    /// None of it, as most bodies have: they touch nothing that all requests share.
    of: Option<Arc<Kept>>,
    bytes: usize,
}

impl Share {
    /// Whether so many more bytes may be kept.
    fn grow(&mut self, kept: &Arc<Kept>, bytes: usize) -> bool {
        let kept = self.of.get_or_insert_with(|| Arc::clone(kept));
        self.bytes += bytes;
        kept.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= kept.most
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(kept) = &self.of {
            kept.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// A body, how it came, and its share of what may be kept, to be held as long as the body is.
pub(super) async fn read(
    mut body: Incoming,
    limits: &BodyLimits,
    kept: &Arc<Kept>,
) -> (Arrival, Bytes, Share) {
    let mut share = Share::default();
    if body.is_end_stream() {
        return (Arrival::Whole, Bytes::new(), share);
    }
    let most = limits.max_size.as_u64();
    if body.size_hint().lower() > most {
        return (Arrival::TooLarge, Bytes::new(), share);
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let collected = collect(&mut body, most, kept, &mut share);
    match tokio::time::timeout(limits.read_timeout, collected).await {
        Ok(Ok(bytes)) => (Arrival::Whole, bytes, share),
        Ok(Err(arrival)) => (arrival, Bytes::new(), share),
        Err(_) => (Arrival::Slow, Bytes::new(), share),
    }
}

async fn collect(
    body: &mut Incoming,
    most: usize,
    kept: &Arc<Kept>,
    share: &mut Share,
) -> Result<Bytes, Arrival> {
    // Most bodies come in one piece, which is then not copied.
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let Ok(piece) = frame.map_err(|_| Arrival::Cut)?.into_data() else {
            continue;
        };
        let before = first.len().max(whole.len());
        let now = before.saturating_add(piece.len());
        let counted = if before > SMALL { piece.len() } else { now };
        if now > SMALL && !share.grow(kept, counted) {
            return Err(Arrival::NoRoom);
        }
        if first.is_empty() {
            first = piece;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&piece);
        }
        if now > most {
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
