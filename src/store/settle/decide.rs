//! A decision of the staff, settled like anything else that is learned: under the order's lock, on what is true now.

use super::super::decisions::{DecisionRow, NewDecision};
use super::super::{Store, StoreError, Tx};
use super::later::Later;
use super::load::Books;
use super::{Match, Settle, Settled, apply, standing, write};
use crate::domain::resolution::{Objection, Resolution, accepted, may_decide};
use crate::domain::settlement::FactDraft;
use crate::domain::standing::Standing;

/// Takes a decision, or says why it cannot be taken; then nothing is written.
pub(super) async fn carry_out(
    store: &Store,
    tx: &Tx,
    command: &Settle,
    found: &Match,
    mut books: Books,
    decision: &NewDecision,
) -> Result<Settled, StoreError> {
    let standing = standing::of(tx.conn(), &books).await?;
    let facts = match facts(&standing, decision) {
        Ok(facts) => facts,
        Err(objection) => return Ok(Settled::Objected(objection)),
    };
    let shop = tx.shop(found.shop);
    // Answers are kept by what they are about.
    let resource = decision.order.to_string();
    let claimed = shop
        .claim_key(&decision.claim, &resource, Some(&decision.answer))
        .await?;
    if !claimed {
        return Ok(Settled::KeyKnown);
    }
    let row = DecisionRow {
        id: decision.id,
        order: decision.order,
        review: decision.review,
        opening: decision.opening,
        resolution: decision.resolution,
        note: decision.note.as_deref(),
        trace: &decision.trace,
    };
    if !shop.insert_decision(&row).await? {
        let what = "a question was answered under the lock of its order";
        return Err(StoreError::Corrupt(what.to_owned()));
    }
    let said = Settle {
        drafts: facts,
        ..command.clone()
    };
    let changes = apply::add_facts(tx, &said, found, &mut books);
    let mut later = Later::default();
    write::all(store, tx, &mut later, &said, found, &books, changes).await?;
    later.flush(tx).await?;
    Ok(Settled::Applied {
        shop: found.shop,
        order: found.order,
    })
}

/// What a decision says, if it can be taken.
fn facts(standing: &Standing, decision: &NewDecision) -> Result<Vec<FactDraft>, Objection> {
    let (review, opening) = (decision.review, decision.opening);
    let found = match may_decide(standing, review, opening, decision.resolution) {
        Err(objection @ (Objection::Unknown | Objection::Decided { .. })) => return Err(objection),
        _ if standing.version() != decision.seen => return Err(Objection::Changed),
        found => found?,
    };
    match decision.resolution {
        Resolution::Acknowledge => Ok(Vec::new()),
        Resolution::Accept => {
            let payment = standing.money_of(found).ok_or(Objection::NotPossible)?;
            Ok(vec![accepted(payment)])
        }
        // These ask the provider for something; they are calls.
        Resolution::Refund | Resolution::Release | Resolution::RefundAgain | Resolution::Ask => {
            Err(Objection::NotPossible)
        }
    }
}
