//! Order numbers: unique in a shop, roughly rising, gaps allowed, never reused.
//!
//! Each process takes blocks of them in short transactions of its own: the counter would be a queue for all
//! processes, and an order's answer, which shows its number, is made before its transaction begins. What is left
//! of a block at an orderly end is given back, if nobody has taken one since; a process that is killed leaves a gap.
//!
//! A standby that took over may not know of the last blocks, and hands them out a second time. Whose number is refused
//! drops its block, and takes one beyond all numbers there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use sea_orm::{ConnectionTrait, Value};
use tokio::sync::{Mutex, Semaphore};

use super::batch::WAITING;
use super::error::StoreError;
use super::failpoint::Step;
use super::rows::sql;
use super::{Engine, Store, Tx};
use crate::domain::ids::ShopId;

/// How many numbers a process takes at first.
const FIRST_BLOCK: i64 = 20;
/// The most it takes at once: under load a block lasts for more than one set.
const LARGEST_BLOCK: i64 = 500;

/// The numbers this process may still hand out, by shop.
#[derive(Default)]
pub(super) struct Blocks(std::sync::Mutex<HashMap<ShopId, Block>>);

#[derive(Default)]
struct Block {
    /// The numbers that were taken and came back.
    returned: BTreeSet<i64>,
    next: i64,
    end: i64,
    /// How many were taken the last time.
    size: i64,
    /// What is below came from a block that was dropped.
    floor: i64,
    /// Its numbers may be others' as well: none of them is handed out any more.
    doubted: bool,
    /// The shop's own: while one waits for its row, the other shops go on.
    queue: Arc<Queue>,
}

/// Those who need a shop's next block.
struct Queue {
    /// Who holds it takes the block; when that failed the last time.
    taking: Mutex<Option<Instant>>,
    /// As many may wait for that as for a set.
    waiting: Semaphore,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            taking: Mutex::default(),
            waiting: Semaphore::new(WAITING),
        }
    }
}

impl Queue {
    /// One takes a block, and those who came meanwhile find it; or that it failed, which may take as long again each time.
    async fn one_for_all<Taking>(
        &self,
        at_hand: impl Fn() -> Option<i64>,
        take: impl FnOnce() -> Taking,
    ) -> Result<i64, StoreError>
    where
        Taking: Future<Output = Result<i64, StoreError>>,
    {
        let Ok(_waits) = self.waiting.try_acquire() else {
            return Err(StoreError::Full);
        };
        let came = Instant::now();
        let mut failed = self.taking.lock().await;
        if let Some(number) = at_hand() {
            return Ok(number);
        }
        if failed.is_some_and(|failed| failed >= came) {
            return Err(StoreError::unavailable("no order numbers were to be had"));
        }
        let taken = take().await;
        if taken.is_err() {
            *failed = Some(Instant::now());
        }
        taken
    }
}

impl Block {
    fn take(&mut self) -> Option<i64> {
        if self.doubted {
            return None;
        }
        if let Some(number) = self.returned.pop_first() {
            return Some(number);
        }
        let number = self.next;
        (number < self.end).then(|| {
            self.next = number.saturating_add(1);
            number
        })
    }
}

impl Blocks {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ShopId, Block>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store {
    /// The next number of a shop; [`StoreError::Full`] when too many wait for theirs.
    pub(super) async fn take_number(&self, shop: ShopId) -> Result<i64, StoreError> {
        let at_hand = || {
            let mut blocks = self.numbers.lock();
            let block = blocks.entry(shop).or_default();
            block.take().ok_or_else(|| Arc::clone(&block.queue))
        };
        let queue = match at_hand() {
            Ok(number) => return Ok(number),
            Err(queue) => queue,
        };
        let take = || self.take_block(shop);
        queue.one_for_all(|| at_hand().ok(), take).await
    }

    /// Takes a shop's next block, and its first number out of it.
    async fn take_block(&self, shop: ShopId) -> Result<i64, StoreError> {
        let last = |block: &Block| (block.size, block.doubted);
        let last = self.numbers.lock().get(&shop).map(last);
        let (last, doubted) = last.unwrap_or_default();
        let size = last.saturating_mul(2).clamp(FIRST_BLOCK, LARGEST_BLOCK);
        Step::Number.before();
        let first = self
            .write(|tx| async move { advance(&tx, shop, size, doubted).await })
            .await?;
        Step::Number.after();
        let mut blocks = self.numbers.lock();
        let block = blocks.entry(shop).or_default();
        block.next = first.saturating_add(1);
        block.end = first.saturating_add(size);
        block.size = size;
        if doubted {
            (block.floor, block.doubted) = (first, false);
        }
        Ok(first)
    }

    /// Takes back a number that no order has.
    pub(super) fn give_number_back(&self, shop: ShopId, number: i64) {
        let mut blocks = self.numbers.lock();
        let block = blocks.entry(shop).or_default();
        if !block.doubted && number >= block.floor {
            block.returned.insert(number);
        }
    }

    /// Drops what is left of a shop's block: a number of it was refused, and nothing but the number can be the reason.
    pub(super) fn doubt_number(&self, shop: ShopId, number: i64) {
        let mut blocks = self.numbers.lock();
        let block = blocks.entry(shop).or_default();
        if block.doubted || number < block.floor {
            return;
        }
        *block = Block {
            doubted: true,
            queue: Arc::clone(&block.queue),
            ..Block::default()
        };
        tracing::warn!(
            shop.id = %shop,
            order.number = number,
            "order number {number} of shop `{shop}` was handed out before; others are taken"
        );
    }

    /// Gives back what is left of each block, where nobody has taken one since.
    pub(super) async fn give_blocks_back(&self) -> Result<(), StoreError> {
        let blocks = std::mem::take(&mut *self.numbers.lock());
        for (shop, block) in blocks {
            if block.doubted || block.next >= block.end {
                continue;
            }
            let text = "UPDATE shop SET next_number = ? WHERE id = ? AND next_number = ?";
            let engine = self.engine;
            self.write(|tx| async move {
                let values: [Value; 3] =
                    [block.next.into(), shop.to_string().into(), block.end.into()];
                tx.conn().execute_raw(sql(engine, text, values)).await?;
                Ok::<_, StoreError>(())
            })
            .await?;
        }
        Ok(())
    }
}

/// Moves a shop's counter and returns the first number taken; `beyond` all that orders have, or where it stands.
async fn advance(tx: &Tx, shop: ShopId, count: i64, beyond: bool) -> Result<i64, StoreError> {
    let shop = shop.to_string();
    let highest = "COALESCE((SELECT number FROM \"order\" WHERE shop_id = ? ORDER BY number DESC LIMIT 1), 0)";
    let (from, mut values) = match (beyond, tx.engine) {
        (false, _) => ("next_number".to_owned(), Vec::new()),
        (true, Engine::Sqlite) => (
            format!("max(next_number, {highest} + 1)"),
            vec![shop.clone().into()],
        ),
        (true, Engine::Postgres) => (
            format!("GREATEST(next_number, {highest} + 1)"),
            vec![shop.clone().into()],
        ),
    };
    let text =
        format!("UPDATE shop SET next_number = {from} + ? WHERE id = ? RETURNING next_number");
    values.extend([Value::from(count), shop.into()]);
    let row = tx.conn().query_one_raw(sql(tx.engine, &text, values));
    let row = row.await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("the shop is gone".to_owned()))?;
    let next: i64 = row.try_get_by_index(0)?;
    Ok(next.saturating_sub(count))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Whoever comes afterwards tries again.
    #[tokio::test]
    async fn those_who_waited_for_a_block_that_is_not_to_be_had_do_not_wait_for_the_next() {
        let (queue, tries) = (Queue::default(), AtomicUsize::new(0));
        let gate = Semaphore::new(0);
        let fails = || {
            queue.one_for_all(
                || None,
                || async {
                    tries.fetch_add(1, Ordering::SeqCst);
                    let _turn = gate.acquire().await;
                    Err(StoreError::unavailable("on purpose"))
                },
            )
        };
        let open = async {
            while tries.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(1);
        };
        let (a, b, c, ()) = tokio::join!(fails(), fails(), fails(), open);
        for one in [a, b, c] {
            assert!(matches!(one, Err(StoreError::Unavailable(_))), "{one:?}");
        }
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        let taken = queue.one_for_all(|| None, || async { Ok(1021) });
        assert_eq!(taken.await.expect("a number"), 1021);
    }
}
