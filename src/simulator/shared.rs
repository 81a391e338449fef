//! What requests and background work share: the world behind its lock, and two signals.
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::acts::time;
use super::world::World;

/// One simulator's shared parts.
#[derive(Debug)]
pub struct Shared {
    world: Mutex<World>,
    /// Something may be due.
    pub wake: Notify,
    /// The simulator stops.
    pub stop: CancellationToken,
}

impl Shared {
    /// Shares a world.
    pub fn new(world: World) -> Shared {
        Shared {
            world: Mutex::new(world),
            wake: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Works on the world as of now, and writes what changed before the lock is given back.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let (result, due) = {
            // A panic in one request must not silence the whole provider.
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            time::tick(&mut world);
            let result = act(&mut world);
            world.commit();
            let now = world.clock.now_ms();
            (
                result,
                world.outbox.next_due_ms().is_some_and(|due| due <= now),
            )
        };
        if due {
            self.wake.notify_one();
        }
        result
    }
}
