//! Order numbers: unique in a shop, roughly rising, gaps allowed, never reused.
//!
//! On SQLite the counter moves in the order's own transaction. On PostgreSQL that row would be a queue for all
//! processes, so each takes blocks in short transactions of its own; a process that ends leaves a gap.

use std::collections::{HashMap, VecDeque};

use sea_orm::ConnectionTrait;
use tokio::sync::Mutex;

use super::error::StoreError;
use super::rows::sql;
use super::{Store, Tx};
use crate::domain::ids::ShopId;

/// How many numbers a process takes at once, at least.
const BLOCK: i64 = 20;

/// The numbers this process may still hand out, by shop: the next one and the end.
#[derive(Default)]
pub(super) struct Blocks(Mutex<HashMap<ShopId, (i64, i64)>>);

impl Store {
    /// The next numbers of a shop, where numbers are taken outside the orders' transaction.
    pub(super) async fn reserve_numbers(
        &self,
        shop: ShopId,
        count: i64,
    ) -> Result<VecDeque<i64>, StoreError> {
        let mut blocks = self.numbers.0.lock().await;
        let (next, end) = blocks.get(&shop).copied().unwrap_or((0, 0));
        let kept = next..end.min(next.saturating_add(count));
        let mut numbers: VecDeque<i64> = kept.collect();
        let missing = count.saturating_sub(i64::try_from(numbers.len()).unwrap_or(count));
        let rest = if missing > 0 {
            // As many again as are needed now: under load a block lasts for more than one set.
            let size = BLOCK.max(count.saturating_mul(4));
            let first = self
                .write(|tx| async move { advance(&tx, shop, size).await })
                .await?;
            let from = first.saturating_add(missing);
            numbers.extend(first..from);
            (from, first.saturating_add(size))
        } else {
            (next.saturating_add(count), end)
        };
        blocks.insert(shop, rest);
        Ok(numbers)
    }
}

/// Moves a shop's counter and returns the first number taken.
pub(super) async fn advance(tx: &Tx, shop: ShopId, count: i64) -> Result<i64, StoreError> {
    let statement = sql(
        tx.engine,
        "UPDATE shop SET next_number = next_number + ? WHERE id = ? RETURNING next_number",
        [count.into(), shop.to_string().into()],
    );
    let row = tx.conn().query_one_raw(statement).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("the shop is gone".to_owned()))?;
    let next: i64 = row.try_get_by_index(0)?;
    Ok(next.saturating_sub(count))
}
