//! Background work: what is due is done, for ever, until the process stops.
//!
//! Every loop does one round of a use case and rests; a round that found something is followed by the next one
//! at once, and a request that leaves something to do wakes them. Rounds claim by lease, so any number of
//! processes may run them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::service::error::chain;
use crate::service::{ServiceError, Services};

/// How long a loop that was woken, and the feed's after each round, collects work for the next one: a round costs the
/// same for one thing as for many, and under load rounds without a pause would take the database from those who wait
/// for an answer.
const PAUSE: Duration = Duration::from_millis(50);
/// While orders and webhooks wait for the database, the search may take one part in so many of the time: it falls
/// behind then, and catches up afterwards.
const SHARE_WHEN_BUSY: u32 = 8;
/// The longest the search rests while others wait: it never stands still.
const LONGEST_YIELD: Duration = Duration::from_secs(1);
/// How long the loops rest when nothing is due.
const REST: Duration = Duration::from_millis(500);
/// How long a loop rests after the database failed it.
const REST_AFTER_ERROR: Duration = Duration::from_secs(2);
/// How often old things are forgotten.
const SWEEP_EVERY_MS: i64 = 60 * 60 * 1_000;
/// The running loops.
pub struct Workers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// One loop's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Calls,
    Sessions,
    Payments,
    Events,
    Expiry,
    Feed,
    Search,
}

const JOBS: [Job; 7] = [
    Job::Calls,
    Job::Sessions,
    Job::Payments,
    Job::Events,
    Job::Expiry,
    Job::Feed,
    Job::Search,
];

impl Workers {
    /// Starts every loop in the current runtime.
    #[must_use]
    pub fn start(services: &Arc<Services>) -> Workers {
        let mut tasks = JoinSet::new();
        let stop = CancellationToken::new();
        for job in JOBS {
            tasks.spawn(keep_doing(job, services.clone(), stop.clone()));
        }
        tasks.spawn(keep_sweeping(services.clone(), stop.clone()));
        Workers { tasks, stop }
    }

    /// Lets every loop finish its round and ends it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One round of everything that is due now; returns how much was done. Tests turn the clock and call this.
///
/// # Errors
/// The first failure.
pub async fn run_once(services: &Services) -> Result<u64, ServiceError> {
    let mut done = 0;
    for job in JOBS {
        done += round(job, services).await?;
    }
    Ok(done)
}

async fn round(job: Job, services: &Services) -> Result<u64, ServiceError> {
    let done = match job {
        Job::Calls => services.send_due_calls().await?,
        Job::Sessions => services.poll_due_sessions().await?,
        Job::Payments => services.poll_due_payments().await?,
        Job::Events => services.retry_due_events().await?,
        Job::Expiry => services.expire_orders().await?,
        Job::Feed => return services.place_events().await,
        Job::Search => return services.index_orders().await,
    };
    Ok(u64::try_from(done).unwrap_or(u64::MAX))
}

async fn keep_doing(job: Job, services: Arc<Services>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let rest = match round(job, &services).await {
            Ok(0) => REST,
            Ok(_) if job == Job::Feed => PAUSE,
            Ok(_) if job == Job::Search && services.is_busy() => {
                let wait = begun.elapsed().saturating_mul(SHARE_WHEN_BUSY - 1);
                tokio::time::sleep(wait.clamp(PAUSE, LONGEST_YIELD)).await;
                continue;
            }
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(
                    job = ?job,
                    error = %chain(&error),
                    "the {job:?} loop could not do its round; it goes on"
                );
                REST_AFTER_ERROR
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            // Whatever else comes within a moment is done in the same round.
            () = services.wake.notified() => tokio::time::sleep(PAUSE.min(rest)).await,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

async fn keep_sweeping(services: Arc<Services>, stop: CancellationToken) {
    let mut last_ms = i64::MIN;
    while !stop.is_cancelled() {
        let now = services.clock.now().ms();
        if now.saturating_sub(last_ms) >= SWEEP_EVERY_MS {
            last_ms = now;
            if let Err(error) = services.forget_old().await {
                tracing::warn!(
                    error = %chain(&error),
                    "what is old could not be forgotten; the next sweep will"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
        }
    }
}
