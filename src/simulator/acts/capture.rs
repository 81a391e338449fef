//! What becomes of an authorisation: capture, cancellation, lapse.
use super::{Booking, book, edit_charge, edit_intent, edit_session};
use crate::simulator::failure::Failure;
use crate::simulator::money;
use crate::simulator::objects::balance::card_fee;
use crate::simulator::objects::intent::{Intent, IntentStatus};
use crate::simulator::objects::session::SessionStatus;
use crate::simulator::world::World;

/// Captures an authorisation, whole or in part; the rest is released.
pub fn capture(world: &mut World, id: &str, amount: Option<i64>) -> Result<(), Failure> {
    let intent = world.intents.find(id, "intent")?.clone();
    let charge = intent.latest_charge.clone();
    let (IntentStatus::RequiresCapture, Some(charge)) = (intent.status, charge) else {
        return Err(unexpected(&intent, "captured", "requires_capture"));
    };
    let amount = amount.unwrap_or(intent.amount_capturable);
    if amount > intent.amount_capturable {
        let message = format!(
            "The provided amount_to_capture ({amount}) is greater than the capturable amount ({}).",
            intent.amount_capturable
        );
        return Err(Failure::state(message)
            .code("amount_too_large")
            .at("amount_to_capture"));
    }
    if let Some(message) = money::fault_in(amount, &intent.currency) {
        return Err(Failure::parameter("amount_to_capture", message));
    }
    let booking = Booking {
        kind: "charge",
        category: "charge",
        source: &charge,
        amount,
        fee: card_fee(amount),
        currency: &intent.currency,
    };
    let transaction = book(world, booking);
    let charge = edit_charge(world, &charge, |charge| {
        charge.captured = true;
        charge.amount_captured = amount;
        charge.balance_transaction = Some(transaction.id);
    });
    let intent = edit_intent(world, id, |intent| {
        intent.status = IntentStatus::Succeeded;
        intent.amount_received = amount;
        intent.amount_capturable = 0;
        intent.capture_before = None;
    });
    edit_session(world, &intent.session, |session| session.paid = true);
    world.emit("charge.captured", &charge.id, charge.json());
    world.emit("payment_intent.succeeded", &intent.id, intent.json());
    Ok(())
}

/// Cancels an intent on the merchant's request.
pub fn cancel(world: &mut World, id: &str, reason: Option<String>) -> Result<(), Failure> {
    let intent = world.intents.find(id, "intent")?.clone();
    let open = world
        .sessions
        .get(&intent.session)
        .is_some_and(|s| s.status == SessionStatus::Open);
    match intent.status {
        IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::Processing => {
            let allowed = "requires_payment_method, requires_capture, requires_confirmation, \
                 requires_action";
            Err(unexpected(&intent, "canceled", allowed))
        }
        _ if open => {
            let message = "You cannot cancel this PaymentIntent because it belongs to an open Checkout \
                 Session. Expire the Checkout Session instead.";
            Err(Failure::state(message)
                .code("payment_intent_unexpected_state")
                .with_intent(intent.json()))
        }
        _ => {
            release(world, &intent, reason);
            Ok(())
        }
    }
}

/// An authorisation lapses.
pub fn lapse(world: &mut World, id: &str) {
    let Some(intent) = world.intents.get(id).cloned() else {
        return;
    };
    if intent.status != IntentStatus::RequiresCapture {
        return;
    }
    if let Some(charge) = intent
        .latest_charge
        .as_deref()
        .and_then(|id| world.charges.get(id))
    {
        let charge = charge.clone();
        world.emit("charge.expired", &charge.id, charge.json());
    }
    release(world, &intent, Some("automatic".into()));
}

/// Ends an intent that took no money.
pub fn release(world: &mut World, intent: &Intent, reason: Option<String>) {
    let now = world.clock.now();
    if intent.status == IntentStatus::RequiresCapture
        && let Some(charge) = &intent.latest_charge
    {
        edit_charge(world, charge, |charge| {
            charge.amount_refunded = charge.amount;
        });
    }
    let intent = edit_intent(world, &intent.id, |intent| {
        intent.status = IntentStatus::Canceled;
        intent.amount_capturable = 0;
        intent.capture_before = None;
        intent.canceled_at = Some(now);
        intent.cancellation_reason = reason;
    });
    world.emit("payment_intent.canceled", &intent.id, intent.json());
}

fn unexpected(intent: &Intent, verb: &str, allowed: &str) -> Failure {
    let message = format!(
        "This PaymentIntent could not be {verb} because it has a status of {}. Only a PaymentIntent \
         with one of the following statuses may be {verb}: {allowed}.",
        intent.status.word()
    );
    Failure::state(message)
        .code("payment_intent_unexpected_state")
        .with_intent(intent.json())
}
