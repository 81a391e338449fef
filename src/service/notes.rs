//! Notes of the staff on orders.

use super::idempotency::{claim, same_request};
use super::{Caller, ServiceError, Services};
use crate::domain::ids::{NoteId, OrderId};
use crate::domain::text;
use crate::store::idempotency::StoredAnswer;
use crate::store::notes::NoteRecord;

const ROUTE: &str = "POST /staff/orders/{id}/notes";
/// How long a note may be, in characters.
pub const MAX_NOTE: usize = 2_000;

/// A text somebody wrote in a form, with the line breaks of any system; where it is wrong if it is.
pub(super) fn written(field: &str, given: &str) -> Result<String, ServiceError> {
    let given = given.replace("\r\n", "\n");
    text::prose(given.trim(), MAX_NOTE)
        .map_err(|why| ServiceError::Invalid(vec![(format!("/{field}"), why.to_string())]))
}

impl Services {
    /// The notes on an order, newest first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an order that is not there or another shop's.
    pub async fn notes(
        &self,
        caller: &Caller,
        order: OrderId,
    ) -> Result<Vec<NoteRecord>, ServiceError> {
        let shop = self.store.shop(caller.shop);
        if shop.order(order, caller.mode).await?.is_none() {
            return Err(ServiceError::NotFound);
        }
        Ok(shop.notes(order).await?)
    }

    /// Adds a note to an order, once for a key.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an order that is not there or another shop's, [`ServiceError::Invalid`] for a
    /// text that is empty or too long.
    pub async fn add_note(
        &self,
        caller: &Caller,
        key: &str,
        order: OrderId,
        given: &str,
    ) -> Result<(), ServiceError> {
        let text = written("text", given)?;
        let path = format!("/staff/orders/{order}/notes");
        let claim = claim(caller, ROUTE, &path, key, &text);
        let answer = StoredAnswer {
            status: 201,
            body: format!("{{\"id\":\"{order}\"}}"),
        };
        let id: NoteId = self.clock.id();
        let trace = caller.trace();
        let (claim, answer, text, trace) = (&claim, &answer, &text, &trace);
        let added = self
            .store
            .write(|tx| async move {
                let shop = tx.shop(caller.shop);
                if shop.lock_order(order).await?.is_none() {
                    return Err(ServiceError::NotFound);
                }
                if !shop
                    .claim_key(claim, &order.to_string(), Some(answer))
                    .await?
                {
                    return Ok(false);
                }
                shop.insert_note(id, order, text, trace).await?;
                Ok(true)
            })
            .await?;
        if added {
            return Ok(());
        }
        let known = self.store.shop(caller.shop).known_key(claim).await?;
        same_request(claim, &known.ok_or(ServiceError::Task)?)
    }
}
