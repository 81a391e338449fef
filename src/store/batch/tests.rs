//! Queues of members that do nothing but wait, fail or panic.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::clock::Clock;
use crate::store::DatabaseSettings;

/// Answers with how many shared its set; some panic instead.
#[derive(Default)]
struct Guest {
    panics: bool,
    slow: bool,
    /// Who lets it go.
    held: Option<Arc<tokio::sync::Notify>>,
    /// It cannot be carried out until this is true.
    locked: Option<Arc<AtomicBool>>,
    /// It changes nothing.
    reads: bool,
}

impl Member for Guest {
    type Outcome = usize;

    fn claims(&self) -> Vec<String> {
        let row = self.locked.iter().filter(|_| !self.reads);
        row.map(|_| "a row".to_owned()).collect()
    }

    async fn run(_: &Store, set: &[Arc<Self>], _: Duration) -> Result<Vec<usize>, StoreError> {
        if let Some(gate) = set.iter().find_map(|one| one.locked.as_ref())
            && !gate.load(Ordering::SeqCst)
        {
            let error = sea_orm::DbErr::Custom("a row is held".to_owned());
            return Err(StoreError::Locked(error));
        }
        assert!(!set.iter().any(|one| one.panics), "on purpose");
        if set.iter().any(|one| one.slow) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for held in set.iter().filter_map(|one| one.held.as_ref()) {
            held.notified().await;
        }
        Ok(set.iter().map(|_| set.len()).collect())
    }
}

/// Waits until a lane has taken what waits.
async fn until_taken(queue: &Batcher<Guest>) {
    while queue.is_busy() {
        tokio::task::yield_now().await;
    }
}

/// A store of its own, and its folder.
async fn store() -> (Store, std::path::PathBuf) {
    let name = format!("till-batch-{}", uuid::Uuid::new_v4().simple());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).expect("a folder");
    let settings = DatabaseSettings {
        url: format!("sqlite://{}", folder.join("till.db").display()),
        max_connections: 1,
        batch: 8,
    };
    let store = Store::open(&settings, Clock::system())
        .await
        .expect("opens");
    (store, folder)
}

#[tokio::test]
async fn a_set_that_waits_itself_holds_up_nobody_for_long() {
    let (store, folder) = store().await;
    let (queue, gate) = (
        Batcher::new(2, 32, Share::All),
        Arc::new(tokio::sync::Notify::new()),
    );
    let held = Guest {
        held: Some(Arc::clone(&gate)),
        ..Guest::default()
    };
    let held = queue.submit(&store, held);
    let others = async {
        until_taken(&queue).await;
        let one = || queue.submit(&store, Guest::default());
        let (a, b) = tokio::join!(one(), one());
        // Only now: had they waited for the first one, nothing would ever go on.
        gate.notify_one();
        (a.expect("a"), b.expect("b"))
    };
    let (held, others) = tokio::join!(held, others);
    assert_eq!(held.expect("let go"), 1);
    assert_eq!(others, (2, 2), "too few for a lane of their own at once");
    store.close().await.expect("closes");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

#[tokio::test]
async fn no_more_share_a_set_than_their_queue_allows() {
    let (store, folder) = store().await;
    for (share, sizes) in [
        (Share::All, [7, 7, 7, 7, 7, 7, 7]),
        (Share::AtMost(3), [3, 3, 3, 3, 3, 3, 1]),
        (Share::HalfAtMost(2), [7, 7, 7, 7, 7, 7, 7]),
        (Share::HalfAtMost(4), [4, 4, 4, 4, 3, 3, 3]),
    ] {
        let queue = Batcher::new(1, 1, share);
        let one = |slow| {
            let guest = Guest {
                slow,
                ..Guest::default()
            };
            queue.submit(&store, guest)
        };
        // The first one keeps the lane while the others come.
        let others = async {
            until_taken(&queue).await;
            futures::future::try_join_all((0..7).map(|_| one(false))).await
        };
        let (first, others) = tokio::join!(one(true), others);
        assert_eq!(first.expect("alone"), 1);
        assert_eq!(others.expect("all"), sizes, "{share:?}");
    }
    store.close().await.expect("closes");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

#[tokio::test]
async fn whoever_waits_for_a_lock_is_set_apart() {
    let (store, folder) = store().await;
    let queue = Batcher::new(1, 1, Share::All);
    let gate = Arc::new(AtomicBool::new(false));
    let guest = |slow, locked: bool| {
        let locked = locked.then(|| Arc::clone(&gate));
        let guest = Guest {
            slow,
            locked,
            ..Guest::default()
        };
        queue.submit(&store, guest)
    };
    let rest = async {
        until_taken(&queue).await;
        // These share a set, and one more is about what the second of them is about.
        let neighbours = async { tokio::join!(guest(false, false), guest(false, false)) };
        let later = async {
            let neighbours = neighbours.await;
            // The only lane is free for others, however long that one waits.
            let more = guest(false, false).await;
            assert!(queue.lock().taken.contains("a row"), "it is still its own");
            assert_eq!(queue.lock().apart, 1);
            gate.store(true, Ordering::SeqCst);
            (neighbours, more)
        };
        tokio::join!(guest(false, true), guest(false, true), later)
    };
    let (first, (locked, same, ((a, b), more))) = tokio::join!(guest(true, false), rest);
    assert_eq!(first.expect("alone"), 1);
    for one in [locked, same, a, b, more] {
        assert_eq!(one.expect("carried out"), 1);
    }
    assert!(queue.lock().taken.is_empty());
    assert_eq!(queue.lock().apart, 0);
    store.close().await.expect("closes");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

#[tokio::test]
async fn those_who_only_read_wait_for_a_table_together_and_not_one_after_the_other() {
    let (store, folder) = store().await;
    let queue = Batcher::new(1, 1, Share::All);
    let gate = Arc::new(AtomicBool::new(false));
    let guest = |slow| {
        let guest = Guest {
            slow,
            locked: (!slow).then(|| Arc::clone(&gate)),
            reads: true,
            ..Guest::default()
        };
        queue.submit(&store, guest)
    };
    // The first one keeps the lane, so that the others wait and share a set.
    let others = async {
        until_taken(&queue).await;
        tokio::join!(guest(false), guest(false))
    };
    let (first, (a, b)) = tokio::join!(guest(true), others);
    assert_eq!(first.expect("alone"), 1);
    for one in [a, b] {
        assert!(matches!(one, Err(StoreError::Unavailable(_))), "{one:?}");
    }
    assert_eq!(queue.lock().apart, 0);
    store.close().await.expect("closes");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

#[tokio::test]
async fn a_member_that_panics_harms_no_neighbour() {
    let (store, folder) = store().await;
    let queue = Batcher::new(1, 1, Share::All);
    let guest = |panics, slow| {
        let guest = Guest {
            panics,
            slow,
            ..Guest::default()
        };
        queue.submit(&store, guest)
    };
    // The first one keeps the lane, so that the others wait and share a set.
    let others = async {
        until_taken(&queue).await;
        tokio::join!(guest(false, false), guest(true, false), guest(false, false))
    };
    let (first, (a, panicked, b)) = tokio::join!(guest(false, true), others);
    assert_eq!(first.expect("alone"), 1);
    assert_eq!(
        (a.expect("a"), b.expect("b")),
        (1, 1),
        "carried out one by one"
    );
    assert!(
        matches!(panicked, Err(StoreError::Panicked)),
        "{panicked:?}"
    );
    let (c, d) = tokio::join!(guest(false, true), guest(false, false));
    assert!(c.is_ok() && d.is_ok(), "the lane lives on: {c:?}, {d:?}");
    store.close().await.expect("closes");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}
