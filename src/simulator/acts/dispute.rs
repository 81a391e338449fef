//! A dispute's life: opened by the customer's bank, answered, closed.
use super::{Booking, book, edit_charge};
use crate::simulator::failure::Failure;
use crate::simulator::objects::balance::DISPUTE_FEE;
use crate::simulator::objects::dispute::{Dispute, DisputeStatus};
use crate::simulator::world::World;

const EVIDENCE_SECONDS: i64 = 9 * 86_400;

/// What a dispute is opened with.
#[derive(Debug, Default)]
pub struct Opening {
    /// The whole payment, if absent.
    pub amount: Option<i64>,
    /// `fraudulent`, if absent.
    pub reason: Option<String>,
    /// An early warning that moves no money yet.
    pub inquiry: bool,
}

/// Opens a dispute; the money is withdrawn at once unless it is an inquiry.
pub fn open(world: &mut World, charge: &str, opening: Opening) -> Result<Dispute, Failure> {
    let charge = world.charges.find(charge, "charge")?.clone();
    let known = world
        .disputes
        .linked(&format!("charge={}", charge.id))
        .next()
        .is_some();
    if !charge.captured || known {
        return Err(Failure::state(
            "The charge is not captured, or disputed already.",
        ));
    }
    let amount = opening.amount.unwrap_or(charge.amount_captured);
    if !(1..=charge.amount_captured).contains(&amount) {
        return Err(Failure::parameter(
            "amount",
            "A dispute is over at most the captured amount.",
        ));
    }
    let now = world.clock.now();
    let mut dispute = Dispute {
        id: world.ids.id("dp_"),
        created: now,
        amount,
        currency: charge.currency.clone(),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        reason: opening.reason.unwrap_or_else(|| "fraudulent".into()),
        status: DisputeStatus::WarningNeedsResponse,
        balance_transactions: vec![],
        withdrawn: false,
        due_by: now + EVIDENCE_SECONDS,
        submissions: 0,
        metadata: Default::default(),
    };
    if !opening.inquiry {
        dispute.status = DisputeStatus::NeedsResponse;
        move_money(world, &mut dispute, false);
    }
    world.disputes.put(dispute.clone());
    edit_charge(world, &charge.id, |charge| charge.disputed = true);
    world.emit("charge.dispute.created", &dispute.id, dispute.json());
    if dispute.withdrawn {
        world.emit(
            "charge.dispute.funds_withdrawn",
            &dispute.id,
            dispute.json(),
        );
    }
    Ok(dispute)
}

/// The merchant sends evidence.
pub fn submit(world: &mut World, id: &str) -> Result<(), Failure> {
    let mut dispute = unsettled(world, id)?;
    dispute.submissions += 1;
    dispute.status = match dispute.status {
        DisputeStatus::WarningNeedsResponse => DisputeStatus::WarningUnderReview,
        _ => DisputeStatus::UnderReview,
    };
    world.disputes.put(dispute.clone());
    world.emit("charge.dispute.updated", id, dispute.json());
    Ok(())
}

/// The bank decides. Money that goes back is moved `at_once`, or later by [`reinstate`].
pub fn close(
    world: &mut World,
    id: &str,
    outcome: DisputeStatus,
    at_once: bool,
) -> Result<(), Failure> {
    let mut dispute = unsettled(world, id)?;
    dispute.status = outcome;
    let returned = at_once && dispute.withdrawn && outcome != DisputeStatus::Lost;
    let taken = !dispute.withdrawn && outcome == DisputeStatus::Lost;
    if returned || taken {
        move_money(world, &mut dispute, returned);
    }
    world.disputes.put(dispute.clone());
    if taken {
        world.emit("charge.dispute.funds_withdrawn", id, dispute.json());
    }
    world.emit("charge.dispute.closed", id, dispute.json());
    if returned {
        world.emit("charge.dispute.funds_reinstated", id, dispute.json());
    }
    Ok(())
}

/// The money of a dispute that was won goes back, some time after the decision.
pub fn reinstate(world: &mut World, id: &str) -> Result<(), Failure> {
    let mut dispute = world.disputes.find(id, "dispute")?.clone();
    if dispute.status != DisputeStatus::Won || !dispute.withdrawn {
        return Err(Failure::state("The dispute holds no money that was won."));
    }
    move_money(world, &mut dispute, true);
    world.disputes.put(dispute.clone());
    world.emit("charge.dispute.funds_reinstated", id, dispute.json());
    Ok(())
}

fn unsettled(world: &World, id: &str) -> Result<Dispute, Failure> {
    let dispute = world.disputes.find(id, "dispute")?;
    if dispute.status.is_final() {
        return Err(Failure::state("The dispute is closed."));
    }
    Ok(dispute.clone())
}

/// Withdraws the amount and the fee, or gives both back.
fn move_money(world: &mut World, dispute: &mut Dispute, back: bool) {
    let sign = if back { 1 } else { -1 };
    let booking = Booking {
        kind: "adjustment",
        category: if back { "dispute_reversal" } else { "dispute" },
        source: &dispute.id,
        amount: sign * dispute.amount,
        fee: -sign * DISPUTE_FEE,
        currency: &dispute.currency,
    };
    let transaction = book(world, booking);
    dispute.withdrawn = !back;
    dispute
        .balance_transactions
        .push(transaction.json(transaction.created));
}
