//! Money given back, by the API or by hand in the dashboard, and money that comes back once more.
use super::{Booking, book, edit_charge};
use crate::simulator::failure::Failure;
use crate::simulator::money;
use crate::simulator::objects::Metadata;
use crate::simulator::objects::charge::Charge;
use crate::simulator::objects::refund::{Refund, RefundStatus};
use crate::simulator::world::World;

/// What a refund is asked with.
#[derive(Debug, Default)]
pub struct Request {
    /// The rest, if absent.
    pub amount: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// The merchant's pairs.
    pub metadata: Metadata,
}

/// Gives back from a charge.
pub fn refund(world: &mut World, charge: &str, request: Request) -> Result<Refund, Failure> {
    let charge = world.charges.find(charge, "charge")?.clone();
    let amount = check(world, &charge, request.amount)?;
    let id = world.ids.id("re_");
    let booking = Booking {
        kind: "refund",
        category: "refund",
        source: &id,
        amount: -amount,
        fee: 0,
        currency: &charge.currency,
    };
    let transaction = book(world, booking);
    let pending = world.meta.refunds_pending;
    let refund = Refund {
        id,
        created: world.clock.now(),
        amount,
        currency: charge.currency.clone(),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        status: if pending {
            RefundStatus::Pending
        } else {
            RefundStatus::Succeeded
        },
        reason: request.reason,
        metadata: request.metadata,
        balance_transaction: Some(transaction.id),
        failure_balance_transaction: None,
        failure_reason: None,
    };
    world.refunds.put(refund.clone());
    let charge = edit_charge(world, &charge.id, |charge| charge.amount_refunded += amount);
    world.emit("refund.created", &refund.id, refund.json());
    world.emit("charge.refunded", &charge.id, charge.json());
    if !pending {
        world.emit("refund.updated", &refund.id, refund.json());
    }
    Ok(refund)
}

fn check(world: &World, charge: &Charge, amount: Option<i64>) -> Result<i64, Failure> {
    if !charge.captured || charge.status != "succeeded" {
        let message = format!(
            "Charge {} has not been captured and can't be refunded.",
            charge.id
        );
        return Err(Failure::state(message).code("charge_not_refundable"));
    }
    let mut disputes = world.disputes.linked(&format!("charge={}", charge.id));
    if disputes.any(|dispute| dispute.withdrawn) {
        let message = format!(
            "Charge {} has been charged back; cannot issue a refund.",
            charge.id
        );
        return Err(Failure::state(message).code("charge_disputed"));
    }
    let left = charge.refundable();
    if left <= 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(Failure::state(message).code("charge_already_refunded"));
    }
    let amount = amount.unwrap_or(left);
    if amount > left {
        let message = format!(
            "Refund amount ({}) is greater than unrefunded amount on charge ({})",
            money::display(amount, &charge.currency),
            money::display(left, &charge.currency)
        );
        return Err(Failure::state(message).at("amount"));
    }
    match money::fault_in(amount, &charge.currency) {
        Some(message) => Err(Failure::parameter("amount", message)),
        None => Ok(amount),
    }
}

/// A pending refund arrives.
pub fn succeed(world: &mut World, id: &str) -> Result<(), Failure> {
    let refund = world.refunds.find(id, "refund")?;
    if refund.status != RefundStatus::Pending {
        return Err(Failure::state("The refund is not pending."));
    }
    let refund = edit(world, id, |refund| refund.status = RefundStatus::Succeeded);
    world.emit("refund.updated", &refund.id, refund.json());
    Ok(())
}

/// A refund comes back, be it pending or long thought to have arrived.
pub fn fail(world: &mut World, id: &str, reason: &str) -> Result<(), Failure> {
    let refund = world.refunds.find(id, "refund")?.clone();
    if refund.status == RefundStatus::Failed {
        return Err(Failure::state("The refund has failed already."));
    }
    let booking = Booking {
        kind: "refund_failure",
        category: "refund_failure",
        source: &refund.id,
        amount: refund.amount,
        fee: 0,
        currency: &refund.currency,
    };
    let transaction = book(world, booking);
    edit_charge(world, &refund.charge, |charge| {
        charge.amount_refunded -= refund.amount
    });
    let refund = edit(world, id, |refund| {
        refund.status = RefundStatus::Failed;
        refund.failure_reason = Some(reason.to_owned());
        refund.failure_balance_transaction = Some(transaction.id);
    });
    world.emit("refund.failed", &refund.id, refund.json());
    world.emit("refund.updated", &refund.id, refund.json());
    Ok(())
}

fn edit(world: &mut World, id: &str, change: impl FnOnce(&mut Refund)) -> Refund {
    let refund = world
        .refunds
        .edit(id)
        .expect("the refund was looked up before");
    change(refund);
    refund.clone()
}
