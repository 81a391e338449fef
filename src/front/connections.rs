//! What every connection is doing, and since when.
//!
//! Each connection has a place in a table and writes there, in one number, what it does and since when; nothing is
//! locked and no timer is set for a request. A look at the table four times a second finds those that take too
//! long. When the table is full, a newcomer takes the place of the connection that is missed least: one that has
//! not asked for anything yet, else one whose head, body or answer does not move, else the one that was idle
//! longest. So a flood of connections that ask for nothing only replaces itself, however fast it comes: nobody is
//! cut for a newcomer who could not be served all the same.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::Limits;

/// Places beyond the bound, for newcomers while those that were cut for them are ending.
const SPARE: usize = 64;
/// A later request's head, a body, or an answer, that takes longer may be cut for a newcomer.
const SLOW: Duration = Duration::from_secs(1);

/// How often somebody else is looked for when the connection that was to be cut went on.
const TRIES: usize = 8;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its place is free.
    Free,
    /// It was accepted and has sent nothing.
    Fresh,
    /// Its first request's first byte came, the end of that head did not.
    Head,
    /// The first byte of a later request came, the end of that head did not.
    NextHead,
    /// A request's head came, the end of its body did not.
    Body,
    /// Its request is being answered.
    Answering,
    /// Its answer is there and being sent.
    Answered,
    /// It takes no more of its answer for now.
    Stalled,
    /// Its last request was answered.
    Idle,
    /// It took too long, or its place was needed.
    Cut,
}

impl Phase {
    const ALL: [Phase; 10] = [
        Phase::Free,
        Phase::Fresh,
        Phase::Head,
        Phase::NextHead,
        Phase::Body,
        Phase::Answering,
        Phase::Answered,
        Phase::Stalled,
        Phase::Idle,
        Phase::Cut,
    ];

    fn of(state: u64) -> Phase {
        let at = usize::from(state.to_le_bytes()[0]);
        Phase::ALL.get(at).copied().unwrap_or(Phase::Free)
    }

    fn since(self, us: u64) -> u64 {
        let phase = Phase::ALL.iter().position(|phase| *phase == self);
        us << 8 | u64::try_from(phase.unwrap_or(0)).unwrap_or(0)
    }
}

/// The table.
pub(super) struct Connections {
    limits: Limits,
    begun: Instant,
    /// Microseconds since then at the last look: exact enough for limits of seconds, and free to read.
    now_us: AtomicU64,
    /// A phase in the lowest byte, since when above it.
    states: Box<[AtomicU64]>,
    tasks: Box<[Mutex<Option<AbortHandle>>]>,
    free: Mutex<Vec<usize>>,
    /// How many are open and not cut.
    live: AtomicUsize,
}

/// Why a newcomer gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All are needed by those who have them.
    Busy,
    /// Those that were cut are about to give up theirs.
    Ending,
}

/// One connection's place; it is given back when this is dropped.
pub(super) struct Link {
    table: Arc<Connections>,
    at: usize,
}

impl Connections {
    /// An empty table.
    pub fn new(limits: Limits) -> Connections {
        let places = limits.connections.max(1) + SPARE;
        Connections {
            limits,
            begun: Instant::now(),
            now_us: AtomicU64::new(0),
            states: (0..places).map(|_| AtomicU64::new(0)).collect(),
            tasks: (0..places).map(|_| Mutex::new(None)).collect(),
            free: Mutex::new((0..places).rev().collect()),
            live: AtomicUsize::new(0),
        }
    }

    /// A place for a new connection. At the bound another connection is cut for it, unless the newcomer could not
    /// be served all the same.
    pub fn take(self: &Arc<Self>) -> Result<Link, NoPlace> {
        let full = || self.live.load(Ordering::Relaxed) >= self.limits.connections;
        let at = lock(&self.free).pop().ok_or(NoPlace::Ending)?;
        if full() && !self.make_room() {
            lock(&self.free).push(at);
            // One may have ended by itself meanwhile.
            return Err(if full() {
                NoPlace::Busy
            } else {
                NoPlace::Ending
            });
        }
        self.live.fetch_add(1, Ordering::Relaxed);
        // Who came first among many at once is what decides who is cut.
        self.states[at].store(Phase::Fresh.since(self.elapsed_us()), Ordering::Relaxed);
        let table = Arc::clone(self);
        Ok(Link { table, at })
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        lock(&self.free).len() == self.states.len()
    }

    /// Cuts the connections that take too long.
    pub fn look(&self) {
        self.now_us.store(self.elapsed_us(), Ordering::Relaxed);
        self.cut_where(|phase, age| limit(phase, &self.limits).is_some_and(|limit| age > limit));
    }

    /// Cuts the connection that is missed least; false if none may be, or if those that were found went on meanwhile.
    pub fn make_room(&self) -> bool {
        (0..TRIES).any(|_| self.cut_the_least_missed())
    }

    fn cut_the_least_missed(&self) -> bool {
        let now = self.now_us.load(Ordering::Relaxed);
        let candidates = self.states.iter().enumerate().filter_map(|(at, state)| {
            let state = state.load(Ordering::Relaxed);
            let rank = rank(Phase::of(state), age(state, now))?;
            Some((rank, state >> 8, at, state))
        });
        match candidates.min() {
            Some((_, _, at, state)) => self.cut(at, state),
            None => false,
        }
    }

    /// Cuts those that have not sent a whole head: nothing of theirs was begun.
    pub fn cut_unasked(&self) {
        self.cut_where(|phase, _| matches!(phase, Phase::Fresh | Phase::Head | Phase::NextHead));
    }

    /// Cuts all.
    pub fn cut_all(&self) {
        self.cut_where(|_, _| true);
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn cut_where(&self, which: impl Fn(Phase, Duration) -> bool) {
        let now = self.now_us.load(Ordering::Relaxed);
        for (at, state) in self.states.iter().enumerate() {
            let state = state.load(Ordering::Relaxed);
            let phase = Phase::of(state);
            if !matches!(phase, Phase::Free | Phase::Cut) && which(phase, age(state, now)) {
                self.cut(at, state);
            }
        }
    }

    /// Ends a connection's task, unless the connection went on meanwhile.
    fn cut(&self, at: usize, state: u64) -> bool {
        let cut = Phase::Cut.since(state >> 8);
        let (relaxed, slot) = (Ordering::Relaxed, &self.states[at]);
        if slot.compare_exchange(state, cut, relaxed, relaxed).is_err() {
            return false;
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
        if let Some(task) = lock(&self.tasks[at]).as_ref() {
            task.abort();
        }
        true
    }
}

/// How long a connection may be at something; none where others keep the time.
fn limit(phase: Phase, limits: &Limits) -> Option<Duration> {
    match phase {
        Phase::Fresh | Phase::Head | Phase::NextHead => Some(limits.head),
        Phase::Stalled => Some(limits.stalled),
        Phase::Idle => Some(limits.idle),
        // A body has its own clock, which answers; a handler is never cut.
        Phase::Body | Phase::Answering | Phase::Answered | Phase::Free | Phase::Cut => None,
    }
}

/// Who is cut first for a newcomer; none for those who are not.
fn rank(phase: Phase, age: Duration) -> Option<u8> {
    match phase {
        Phase::Fresh | Phase::Head => Some(0),
        Phase::NextHead | Phase::Body | Phase::Stalled => (age > SLOW).then_some(1),
        Phase::Idle => Some(2),
        Phase::Answering | Phase::Answered | Phase::Free | Phase::Cut => None,
    }
}

fn age(state: u64, now_us: u64) -> Duration {
    Duration::from_micros(now_us.saturating_sub(state >> 8))
}

impl Link {
    /// The task to end when the connection is cut.
    pub fn belongs_to(&self, task: AbortHandle) {
        *lock(&self.table.tasks[self.at]) = Some(task);
    }

    /// What the connection does from now on.
    pub fn enter(&self, phase: Phase) {
        self.go_on(phase, self.table.now_us.load(Ordering::Relaxed));
    }

    /// Bytes came: the first of a head, unless a request is under way.
    pub fn heard(&self) {
        let state = self.table.states[self.at].load(Ordering::Relaxed);
        match Phase::of(state) {
            // The head has been due since the connection was accepted.
            Phase::Fresh => self.go_on(Phase::Head, state >> 8),
            Phase::Idle => self.enter(Phase::NextHead),
            _ => {}
        }
    }

    /// Only this connection's own task goes on, so what comes between can only be that it was cut: that stays.
    fn go_on(&self, phase: Phase, since_us: u64) {
        let (relaxed, slot) = (Ordering::Relaxed, &self.table.states[self.at]);
        let state = slot.load(relaxed);
        if Phase::of(state) != Phase::Cut {
            let _ = slot.compare_exchange(state, phase.since(since_us), relaxed, relaxed);
        }
    }

    /// What the connection does.
    pub fn phase(&self) -> Phase {
        Phase::of(self.table.states[self.at].load(Ordering::Relaxed))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        *lock(&self.table.tasks[self.at]) = None;
        let state = self.table.states[self.at].swap(0, Ordering::Relaxed);
        if Phase::of(state) != Phase::Cut {
            self.table.live.fetch_sub(1, Ordering::Relaxed);
        }
        lock(&self.table.free).push(self.at);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
