//! Notes of the staff on orders. They only grow; their texts may name people and go with the order's.

use entity::order_note as row;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::rows::parse;
use super::{ShopStore, ShopTx, StoreError};
use crate::domain::access::Trace;
use crate::domain::ids::{NoteId, OrderId};
use crate::domain::time::Timestamp;

/// A note on an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRecord {
    /// Its id.
    pub id: NoteId,
    /// What it says; none once it is erased.
    pub text: Option<String>,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
}

impl ShopTx {
    /// Adds a note to an order.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_note(
        &self,
        id: NoteId,
        order: OrderId,
        text: &str,
        trace: &Trace,
    ) -> Result<(), StoreError> {
        let new = row::ActiveModel {
            id: Set(id.to_string()),
            shop_id: Set(self.shop.to_string()),
            order_id: Set(order.to_string()),
            body: Set(Some(text.to_owned())),
            author: Set(trace.actor.clone()),
            request_id: Set(trace.request_id.clone()),
            created_at: Set(self.tx.clock.now().ms()),
        };
        row::Entity::insert(new)
            .exec_without_returning(self.tx.conn())
            .await?;
        Ok(())
    }
}

impl ShopStore<'_> {
    /// The notes on an order, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn notes(&self, order: OrderId) -> Result<Vec<NoteRecord>, StoreError> {
        let rows = row::Entity::find()
            .filter(row::Column::OrderId.eq(order.to_string()))
            .filter(row::Column::ShopId.eq(self.shop.to_string()))
            .order_by_desc(row::Column::Id)
            .all(&self.store.reader)
            .await?;
        let notes = rows.into_iter().map(|row| {
            Ok(NoteRecord {
                id: parse("order_note.id", &row.id)?,
                text: row.body,
                author: row.author,
                created_at: Timestamp::from_ms(row.created_at),
            })
        });
        notes.collect()
    }
}
