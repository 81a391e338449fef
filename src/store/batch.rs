//! Natural batching: members that wait are carried out together, and nobody waits for company while nothing runs.
//!
//! Whoever comes while nothing runs is carried out at once, alone. Those who come meanwhile wait, and the next
//! set takes those that get along, as many as [`Share`] has it. So one caller has no delay, and a thousand share their commits. Where several
//! sets may run at once, another one begins when enough wait for it, or when those that run take long.
//!
//! A set runs in a task of its own: a caller that goes away takes nothing with it. A set that fails or panics is
//! carried out again one by one, so that only the member to blame fails. One that needs what somebody else holds for
//! long, such as a process that was stopped in the middle of a transaction, is set apart: it is tried again for a moment
//! each time, and neither its set nor those behind it wait for that.

mod apart;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::{MOMENT, Store, StoreError};

/// The most members that wait; more are turned away at once instead of late.
pub(super) const WAITING: usize = 512;

/// How long others wait for a set: one that waits itself, for a row somebody else holds, must not hold up the rest.
const PATIENCE: Duration = Duration::from_millis(25);

/// How long a set waits for a lock.
const SET_WAITS: Duration = MOMENT;

/// Commands that can be carried out together.
pub(super) trait Member: Send + Sync + 'static {
    /// What becomes of one.
    type Outcome: Send + 'static;

    /// Names of what it touches alone: two members of one set have none in common.
    fn claims(&self) -> Vec<String>;

    /// Whether it waits however many wait already: its number is bounded otherwise, and to turn it away would lose
    /// what is known.
    fn always_waits(&self) -> bool {
        false
    }

    /// Carries out a set in one transaction; the outcomes are in the members' order. If it waits for a lock longer than
    /// `patience`, it may fail with [`StoreError::Locked`].
    fn run(
        store: &Store,
        set: &[Arc<Self>],
        patience: Duration,
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, StoreError>> + Send;
}

type Answer<M> = oneshot::Sender<Result<<M as Member>::Outcome, StoreError>>;

struct Waiting<M: Member> {
    member: Arc<M>,
    claims: Vec<String>,
    answer: Answer<M>,
}

struct State<M: Member> {
    waiting: VecDeque<Waiting<M>>,
    /// How many sets run now.
    running: usize,
    /// How many members are set apart.
    apart: usize,
    /// What the members of running sets touch alone.
    taken: HashSet<String>,
}

impl<M: Member> State<M> {
    fn is_full(&self) -> bool {
        self.waiting.len().saturating_add(self.apart) >= WAITING
    }

    /// Lets others have what a set or a member touched alone.
    fn release(&mut self, claims: impl Iterator<Item = String>) {
        for claim in claims {
            self.taken.remove(&claim);
        }
    }
}

/// How many of those that wait share a set, as far as the configuration lets them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share {
    /// All.
    All,
    /// So many at most. Those of a set are answered together, and as many newcomers are let in with them, all before
    /// anybody else has a turn: whoever is refused then waits behind both.
    AtMost(usize),
    /// So many at most while no more than twice as many wait: one half is written while the other has its answers and
    /// asks again. All of a crowd, to which that would make no difference.
    HalfAtMost(usize),
}

impl Share {
    fn of(self, waiting: usize) -> usize {
        match self {
            Share::All => waiting,
            Share::AtMost(most) => waiting.min(most),
            Share::HalfAtMost(half) if waiting <= half.saturating_mul(2) => waiting.min(half),
            Share::HalfAtMost(_) => waiting,
        }
    }
}

/// The queue of one kind of command.
pub(super) struct Batcher<M: Member> {
    state: Mutex<State<M>>,
    /// Lets so many of those that are set apart be tried.
    tries: Semaphore,
    /// The most sets that run at once.
    lanes: usize,
    /// From how many members that wait another set begins beside one that runs.
    worth_it: usize,
    share: Share,
}

impl<M: Member> Batcher<M> {
    /// A queue whose sets run on so many connections; another one begins beside one that runs when `worth_it` wait.
    pub fn new(lanes: usize, worth_it: usize, share: Share) -> Arc<Batcher<M>> {
        Arc::new(Batcher {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                running: 0,
                apart: 0,
                taken: HashSet::new(),
            }),
            tries: Semaphore::new(apart::AT_ONCE),
            lanes,
            worth_it,
            share,
        })
    }

    /// Carries out one member, together with whoever else waits.
    ///
    /// # Errors
    /// The member's own; [`StoreError::Full`] when too many wait; [`StoreError::Panicked`].
    pub async fn submit(
        self: &Arc<Self>,
        store: &Store,
        member: M,
    ) -> Result<M::Outcome, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting {
            claims: member.claims(),
            member: Arc::new(member),
            answer,
        };
        if self.enqueue(waiting, store.batch_limit())? {
            self.start(store);
        }
        outcome.await.unwrap_or(Err(StoreError::Panicked))
    }

    /// Whether the next member is turned away.
    pub fn is_full(&self) -> bool {
        self.lock().is_full()
    }

    /// Whether a lane is begun for what waits now.
    fn enqueue(&self, waiting: Waiting<M>, limit: usize) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.is_full() && !waiting.member.always_waits() {
            return Err(StoreError::Full);
        }
        state.waiting.push_back(waiting);
        let begins = state.running == 0 || self.is_worth_it(&state, limit);
        Ok(begins && self.take_lane(&mut state))
    }

    /// Whether enough wait for a set of their own, of so many at most.
    fn is_worth_it(&self, state: &State<M>, limit: usize) -> bool {
        state.waiting.len() >= self.worth_it.min(limit)
    }

    /// Takes a lane if one is free.
    fn take_lane(&self, state: &mut State<M>) -> bool {
        let free = state.running < self.lanes;
        if free {
            state.running = state.running.saturating_add(1);
        }
        free
    }

    /// Begins a lane that was taken.
    fn start(self: &Arc<Self>, store: &Store) {
        tokio::spawn(Arc::clone(self).drive(store.clone()));
    }

    /// Carries out sets until nothing waits that gets along with what the other lanes do. Boxed, since it begins others
    /// of its kind.
    fn drive(self: Arc<Self>, store: Store) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.carry_out_all(&store).await })
    }

    async fn carry_out_all(self: &Arc<Self>, store: &Store) {
        let limit = store.batch_limit();
        let mut lane = Lane {
            queue: self,
            claims: Vec::new(),
            runs: true,
        };
        while let Some((set, another)) = self.next(limit) {
            lane.claims = set.iter().flat_map(|one| one.claims.clone()).collect();
            if another {
                self.start(store);
            }
            // It is waited for again and again, never given up.
            let mut work = pin!(carry_out(store, set));
            let apart = loop {
                match tokio::time::timeout(PATIENCE, &mut work).await {
                    Ok(apart) => break apart,
                    Err(_) => self.start_if_any_waits(store),
                }
            };
            if !apart.is_empty() {
                let theirs: HashSet<&String> = apart.iter().flat_map(|one| &one.claims).collect();
                lane.claims.retain(|claim| !theirs.contains(claim));
                tokio::spawn(Arc::clone(self).carry_out_apart(store.clone(), apart));
            }
            lane.let_go();
        }
        lane.runs = false;
    }

    /// Begins another lane if members wait and one is free.
    fn start_if_any_waits(self: &Arc<Self>, store: &Store) {
        let begins = {
            let mut state = self.lock();
            !state.waiting.is_empty() && self.take_lane(&mut state)
        };
        if begins {
            self.start(store);
        }
    }

    /// The next set; none ends the lane. What cannot run beside another lane's set is left to that lane, which
    /// looks again when its set has ended. Also says whether another lane was taken, for those that are left.
    fn next(&self, limit: usize) -> Option<(Vec<Waiting<M>>, bool)> {
        let mut state = self.lock();
        let state = &mut *state;
        let most = self.share.of(state.waiting.len()).min(limit);
        let (mut set, mut left) = (Vec::new(), Vec::new());
        while set.len() < most
            && let Some(one) = state.waiting.pop_front()
        {
            if one.claims.iter().all(|claim| !state.taken.contains(claim)) {
                state.taken.extend(one.claims.iter().cloned());
                set.push(one);
            } else {
                left.push(one);
            }
        }
        // Those that were passed over keep their places; the others were not even looked at.
        for one in left.into_iter().rev() {
            state.waiting.push_front(one);
        }
        if set.is_empty() {
            state.running = state.running.saturating_sub(1);
            return None;
        }
        let another = self.is_worth_it(state, limit) && self.take_lane(state);
        Some((set, another))
    }

    /// Whether members wait while others are carried out.
    pub fn is_busy(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane that was taken. Even one that panics is given back, with what its set touches.
struct Lane<'q, M: Member> {
    queue: &'q Batcher<M>,
    claims: Vec<String>,
    /// Whether it still counts as running.
    runs: bool,
}

impl<M: Member> Lane<'_, M> {
    /// Lets others have what the set touched.
    fn let_go(&mut self) {
        self.queue.lock().release(self.claims.drain(..));
    }
}

impl<M: Member> Drop for Lane<'_, M> {
    fn drop(&mut self) {
        self.let_go();
        if self.runs {
            let mut state = self.queue.lock();
            state.running = state.running.saturating_sub(1);
        }
    }
}

/// Carries out a set and tells each member what became of it. Returns those that somebody else's lock keeps from it.
async fn carry_out<M: Member>(store: &Store, set: Vec<Waiting<M>>) -> Vec<Waiting<M>> {
    let members: Vec<Arc<M>> = set.iter().map(|one| Arc::clone(&one.member)).collect();
    match guarded(store, members, SET_WAITS).await {
        // Which of them it is nobody says. Those that touch nothing wait for a whole table, all of them.
        Err(StoreError::Locked(error)) if set.iter().any(|one| !one.claims.is_empty()) => {
            tracing::debug!(members = set.len(), %error, "a set waits for a lock and is carried out one by one");
            return set;
        }
        Ok(outcomes) => {
            for (one, outcome) in set.into_iter().zip(outcomes) {
                // A caller that went away does not ask any more.
                let _ = one.answer.send(Ok(outcome));
            }
        }
        // Nothing would get through one by one either, only later.
        Err(StoreError::Unavailable(_) | StoreError::Locked(_)) if set.len() > 1 => {
            for one in set {
                let error = StoreError::unavailable("it failed for the whole set");
                let _ = one.answer.send(Err(error));
            }
        }
        Err(error) if set.len() == 1 => {
            if let Some(one) = set.into_iter().next() {
                let _ = one.answer.send(Err(error));
            }
        }
        Err(error) => {
            tracing::debug!(members = set.len(), %error, "a set failed and is carried out one by one");
            let mut apart = Vec::new();
            for one in set {
                match alone(store, &one, SET_WAITS).await {
                    Err(StoreError::Locked(_)) => apart.push(one),
                    outcome => {
                        let _ = one.answer.send(outcome);
                    }
                }
            }
            return apart;
        }
    }
    Vec::new()
}

/// Carries out one member by itself.
async fn alone<M: Member>(
    store: &Store,
    one: &Waiting<M>,
    patience: Duration,
) -> Result<M::Outcome, StoreError> {
    let mut outcomes = guarded(store, vec![Arc::clone(&one.member)], patience).await?;
    outcomes
        .pop()
        .ok_or_else(|| StoreError::Corrupt("a set without outcomes".to_owned()))
}

/// Runs a set in a task of its own, which may panic.
async fn guarded<M: Member>(
    store: &Store,
    members: Vec<Arc<M>>,
    patience: Duration,
) -> Result<Vec<M::Outcome>, StoreError> {
    let store = store.clone();
    let running = tokio::spawn(async move { M::run(&store, &members, patience).await });
    running.await.unwrap_or(Err(StoreError::Panicked))
}
