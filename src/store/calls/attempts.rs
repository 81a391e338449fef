//! The tries of a call: when each began, and what came of it.

use entity::provider_attempt;
use sea_orm::{EntityTrait, TryInsertResult};

use super::ClaimedCall;
use crate::domain::ids::AttemptId;
use crate::store::bulk::{self, Change};
use crate::store::{StoreError, Tx};

/// What is noted of one try.
#[derive(Debug, Clone)]
pub struct AttemptNote {
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The HTTP status, when there was one.
    pub http_status: Option<u16>,
    /// A word for what came of it.
    pub outcome: String,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// In which words the provider refused.
    pub message: Option<String>,
}

/// The row of a try that is about to be made.
pub(super) fn attempt_of(tx: &Tx, call: &ClaimedCall) -> provider_attempt::Model {
    provider_attempt::Model {
        id: tx.clock.id::<AttemptId>().to_string(),
        shop_id: call.shop.to_string(),
        provider_call_id: call.id.to_string(),
        number: i64::from(call.attempt),
        // No try is older than its call, whose own time may be a moment later.
        started_at: call.claimed_at.max(call.created_at).ms(),
        duration_ms: 0,
        http_status: None,
        outcome: "sending".to_owned(),
        provider_request_id: None,
        message: None,
    }
}

/// Notes that a try begins.
pub(super) async fn start_attempt(tx: &Tx, call: &ClaimedCall) -> Result<(), StoreError> {
    let row = attempt_of(tx, call);
    let noted = provider_attempt::Entity::insert(provider_attempt::ActiveModel::from(row))
        .on_conflict_do_nothing_on([
            provider_attempt::Column::ProviderCallId,
            provider_attempt::Column::Number,
        ])
        .exec_without_returning(tx.conn())
        .await?;
    match noted {
        TryInsertResult::Inserted(1) => Ok(()),
        // Refused by the index it would end the transaction, and with it the claim of other calls.
        _ => Err(StoreError::Corrupt(
            "a try of a call is noted already".to_owned(),
        )),
    }
}

/// Notes how a try ended.
pub(super) async fn finish_attempt(
    tx: &Tx,
    call: &ClaimedCall,
    note: &AttemptNote,
) -> Result<(), StoreError> {
    let row = ended_try(tx, call, note);
    bulk::update::<provider_attempt::Entity>(tx, &[row], ENDED_TRY).await
}

/// How the row of a try that has ended is changed.
pub(in crate::store) const ENDED_TRY: Change<'_, provider_attempt::Column> = {
    use provider_attempt::Column as C;
    Change {
        found_by: &[C::ProviderCallId, C::Number],
        set: &[
            C::DurationMs,
            C::HttpStatus,
            C::Outcome,
            C::ProviderRequestId,
            C::Message,
        ],
        also: "",
    }
};

/// A try that has ended, to be written as [`ENDED_TRY`].
pub(in crate::store) fn ended_try(
    tx: &Tx,
    call: &ClaimedCall,
    note: &AttemptNote,
) -> provider_attempt::Model {
    provider_attempt::Model {
        duration_ms: note.duration_ms,
        http_status: note.http_status.map(i64::from),
        outcome: note.outcome.clone(),
        provider_request_id: note.provider_request_id.clone(),
        message: note.message.clone(),
        ..attempt_of(tx, call)
    }
}
