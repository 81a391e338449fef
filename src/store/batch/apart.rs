//! Members that somebody else's lock keeps from being carried out: they are tried out of the lanes' way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Batcher, Member, Waiting, alone};
use crate::store::{Store, StoreError};

/// How long one that was set apart waits for a lock each time.
const WAITS: Duration = Duration::from_millis(50);

/// How many of those that were set apart are tried at once.
pub(super) const AT_ONCE: usize = 2;

/// The longest pause between two tries of one that was set apart.
const PAUSE: Duration = Duration::from_millis(500);

/// How long one that was set apart is tried. The server ends the transaction of a process that was stopped before that.
const FOR: Duration = Duration::from_secs(30);

impl<M: Member> Batcher<M> {
    /// Tries members one by one, again and again, none of them for long: what they need is held by somebody else. What
    /// they touch alone stays theirs, so that no set runs into the same.
    pub(super) async fn carry_out_apart(self: Arc<Self>, store: Store, members: Vec<Waiting<M>>) {
        let began = Instant::now();
        let mut pause = WAITS;
        let mut apart: VecDeque<(Waiting<M>, Apart<'_, M>)> = members
            .into_iter()
            .map(|one| {
                let place = Apart::new(&self, &one.claims);
                (one, place)
            })
            .collect();
        while !apart.is_empty() {
            for _ in 0..apart.len() {
                let Some((one, place)) = apart.pop_front() else {
                    break;
                };
                // It is never closed.
                let turn = self.tries.acquire().await;
                let tried = alone(&store, &one, WAITS).await;
                drop(turn);
                match tried {
                    Err(StoreError::Locked(_)) if began.elapsed() < FOR => {
                        apart.push_back((one, place));
                    }
                    outcome => {
                        drop(place);
                        let _ = one.answer.send(outcome);
                        self.start_if_any_waits(&store);
                    }
                }
            }
            if !apart.is_empty() {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(PAUSE);
            }
        }
    }
}

/// One that was set apart, and what it touches alone until then.
struct Apart<'q, M: Member> {
    queue: &'q Batcher<M>,
    claims: Vec<String>,
}

impl<'q, M: Member> Apart<'q, M> {
    fn new(queue: &'q Batcher<M>, claims: &[String]) -> Apart<'q, M> {
        let mut state = queue.lock();
        state.apart = state.apart.saturating_add(1);
        let claims = claims.to_vec();
        Apart { queue, claims }
    }
}

impl<M: Member> Drop for Apart<'_, M> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.apart = state.apart.saturating_sub(1);
        state.release(self.claims.drain(..));
    }
}
