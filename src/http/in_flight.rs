//! How many requests are being answered.
//!
//! Rocket 0.5.2 waits its whole grace period at shutdown as soon as one connection is open, busy or not, so the
//! process would always be slow to end. The server ends as soon as nothing is being answered instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Data, Request};

/// Counts the requests whose answers are not fully handed over yet. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

/// One request; it lives in the request's cache, which Rocket drops after the answer's last byte.
struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    /// How many there are now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns once nothing has been in flight for a moment.
    pub async fn drained(&self) {
        let mut quiet = 0;
        while quiet < 4 {
            rocket::tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            quiet = if self.count() == 0 { quiet + 1 } else { 0 };
        }
    }
}

#[rocket::async_trait]
impl Fairing for InFlight {
    fn info(&self) -> Info {
        Info {
            name: "requests in flight",
            kind: Kind::Request,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| {
            self.0.fetch_add(1, Ordering::Relaxed);
            One(self.0.clone())
        });
    }
}
