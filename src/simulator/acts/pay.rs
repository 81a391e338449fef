//! The customer's side of a session: pay, be declined, pay slowly.
use serde_json::json;

use super::{Booking, book, edit_charge, edit_intent, edit_session, emit_session};
use crate::simulator::failure::Failure;
use crate::simulator::objects::balance::card_fee;
use crate::simulator::objects::charge::{Charge, Decline};
use crate::simulator::objects::intent::{Intent, IntentStatus};
use crate::simulator::objects::session::{Session, SessionStatus};
use crate::simulator::world::{Alarm, World};

/// How long a card's authorisation lasts.
const AUTHORISATION_SECONDS: i64 = 7 * 86_400;

/// How the customer pays.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// The last four digits.
    pub last4: String,
    /// For the receipt.
    pub email: Option<String>,
}

/// The session, if it can still be paid.
pub fn open_session(world: &World, id: &str) -> Result<Session, Failure> {
    let session = world.sessions.find(id, "session")?;
    match session.status {
        SessionStatus::Open => Ok(session.clone()),
        SessionStatus::Complete => {
            Err(Failure::state("This Checkout Session is already complete."))
        }
        SessionStatus::Expired => Err(Failure::state("This Checkout Session has expired.")),
    }
}

/// Pays a session by card: the money comes, or is authorised with manual capture.
pub fn pay(world: &mut World, id: &str, card: &Card) -> Result<(), Failure> {
    let session = open_session(world, id)?;
    let intent = intent_of(world, &session);
    let charge = charge(world, &intent, card, "succeeded", None);
    let manual = intent.capture_method == "manual";
    if manual {
        authorise(world, &intent, &charge);
    } else {
        take(world, &intent, &charge);
    }
    let session = complete(world, id, card, !manual);
    emit_session(world, "checkout.session.completed", &session);
    Ok(())
}

/// Starts a payment that is decided later: the session is complete and unpaid.
pub fn pay_slowly(world: &mut World, id: &str, card: &Card) -> Result<(), Failure> {
    let session = open_session(world, id)?;
    let intent = intent_of(world, &session);
    let charge = charge(world, &intent, card, "pending", None);
    let intent = edit_intent(world, &intent.id, |intent| {
        intent.status = IntentStatus::Processing;
        intent.payment_method = Some(charge.payment_method.clone());
    });
    world.emit("charge.pending", &charge.id, charge.json());
    world.emit("payment_intent.processing", &intent.id, intent.json());
    let session = complete(world, id, card, false);
    emit_session(world, "checkout.session.completed", &session);
    Ok(())
}

/// Decides a slow payment.
pub fn settle(world: &mut World, id: &str, succeeded: bool) -> Result<(), Failure> {
    let session = world.sessions.find(id, "session")?;
    let intent = session
        .payment_intent
        .as_deref()
        .and_then(|id| world.intents.get(id))
        .cloned();
    let intent = intent.filter(|intent| intent.status == IntentStatus::Processing);
    let charge = intent
        .as_ref()
        .and_then(|intent| intent.latest_charge.clone());
    let (Some(intent), Some(charge)) = (intent, charge) else {
        return Err(Failure::state(
            "The session has no payment that is being processed.",
        ));
    };
    if succeeded {
        let charge = edit_charge(world, &charge, |charge| charge.status = "succeeded".into());
        take(world, &intent, &charge);
        let session = edit_session(world, id, |session| session.paid = true);
        emit_session(world, "checkout.session.async_payment_succeeded", &session);
        return Ok(());
    }
    let decline = Decline {
        code: "payment_intent_payment_attempt_failed".into(),
        decline_code: None,
        message: "The payment failed.".into(),
    };
    let charge = edit_charge(world, &charge, |charge| {
        charge.status = "failed".into();
        charge.failure = Some(decline.clone());
    });
    fail(world, &intent, &charge, &decline);
    let session = world.sessions.find(id, "session")?.clone();
    emit_session(world, "checkout.session.async_payment_failed", &session);
    Ok(())
}

/// The customer's bank refuses; the session stays open.
pub fn decline(world: &mut World, id: &str, card: &Card, decline: Decline) -> Result<(), Failure> {
    let session = open_session(world, id)?;
    let intent = intent_of(world, &session);
    let charge = charge(world, &intent, card, "failed", Some(decline.clone()));
    fail(world, &intent, &charge, &decline);
    Ok(())
}

/// The customer's bank wants to see a confirmation first.
pub fn require_action(world: &mut World, id: &str) -> Result<(), Failure> {
    let session = open_session(world, id)?;
    let intent = intent_of(world, &session);
    if intent.status != IntentStatus::RequiresAction {
        let intent = edit_intent(world, &intent.id, |intent| {
            intent.status = IntentStatus::RequiresAction
        });
        world.emit("payment_intent.requires_action", &intent.id, intent.json());
    }
    Ok(())
}

/// The session's intent, made now if this is the customer's first try.
fn intent_of(world: &mut World, session: &Session) -> Intent {
    let known = session
        .payment_intent
        .as_deref()
        .and_then(|id| world.intents.get(id));
    if let Some(intent) = known {
        return intent.clone();
    }
    let id = world.ids.id("pi_");
    let data = &session.payment_data;
    let intent = Intent {
        client_secret: world.ids.token(&format!("{id}_secret_"), 25),
        created: world.clock.now(),
        session: session.id.clone(),
        amount: session.amount_total,
        amount_capturable: 0,
        amount_received: 0,
        currency: session.currency.clone(),
        status: IntentStatus::RequiresPaymentMethod,
        capture_method: data.capture_method.clone(),
        metadata: data.metadata.clone(),
        description: data.description.clone(),
        receipt_email: data.receipt_email.clone(),
        statement_descriptor: data.statement_descriptor.clone(),
        statement_descriptor_suffix: data.statement_descriptor_suffix.clone(),
        latest_charge: None,
        payment_method: None,
        canceled_at: None,
        cancellation_reason: None,
        last_payment_error: None,
        capture_before: None,
        id,
    };
    world.intents.put(intent.clone());
    let link = format!("payment_intent={}", intent.id);
    edit_session(world, &session.id, |session| {
        session.payment_intent = Some(intent.id.clone())
    });
    world.sessions.link(&session.id, link);
    world.emit("payment_intent.created", &intent.id, intent.json());
    intent
}

fn charge(
    world: &mut World,
    intent: &Intent,
    card: &Card,
    status: &str,
    failure: Option<Decline>,
) -> Charge {
    let charge = Charge {
        id: world.ids.id("ch_"),
        created: world.clock.now(),
        amount: intent.amount,
        amount_captured: 0,
        amount_refunded: 0,
        currency: intent.currency.clone(),
        status: status.to_owned(),
        captured: false,
        disputed: false,
        failure,
        payment_intent: intent.id.clone(),
        metadata: intent.metadata.clone(),
        description: intent.description.clone(),
        email: card.email.clone(),
        payment_method: world.ids.id("pm_"),
        last4: card.last4.clone(),
        balance_transaction: None,
        capture_before: None,
    };
    world.charges.put(charge.clone());
    edit_intent(world, &intent.id, |intent| {
        intent.latest_charge = Some(charge.id.clone())
    });
    charge
}

/// The money comes at once.
fn take(world: &mut World, intent: &Intent, charge: &Charge) {
    let booking = Booking {
        kind: "charge",
        category: "charge",
        source: &charge.id,
        amount: charge.amount,
        fee: card_fee(charge.amount),
        currency: &charge.currency,
    };
    let transaction = book(world, booking);
    let charge = edit_charge(world, &charge.id, |charge| {
        charge.captured = true;
        charge.amount_captured = charge.amount;
        charge.balance_transaction = Some(transaction.id);
    });
    let intent = edit_intent(world, &intent.id, |intent| {
        intent.status = IntentStatus::Succeeded;
        intent.amount_received = intent.amount;
        intent.payment_method = Some(charge.payment_method.clone());
        intent.last_payment_error = None;
    });
    world.emit("charge.succeeded", &charge.id, charge.json());
    world.emit("payment_intent.succeeded", &intent.id, intent.json());
}

/// The money is held for the merchant to capture.
fn authorise(world: &mut World, intent: &Intent, charge: &Charge) {
    let before = world.clock.now() + AUTHORISATION_SECONDS;
    let charge = edit_charge(world, &charge.id, |charge| {
        charge.capture_before = Some(before)
    });
    let intent = edit_intent(world, &intent.id, |intent| {
        intent.status = IntentStatus::RequiresCapture;
        intent.amount_capturable = intent.amount;
        intent.capture_before = Some(before);
        intent.payment_method = Some(charge.payment_method.clone());
        intent.last_payment_error = None;
    });
    world
        .alarms
        .insert((before, Alarm::Authorisation(intent.id.clone())));
    world.emit("charge.succeeded", &charge.id, charge.json());
    world.emit(
        "payment_intent.amount_capturable_updated",
        &intent.id,
        intent.json(),
    );
}

fn fail(world: &mut World, intent: &Intent, charge: &Charge, decline: &Decline) {
    let mut error = json!({
        "type": "card_error", "code": decline.code, "message": decline.message,
        "charge": charge.id,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", decline.code.replace('_', "-"))
    });
    if let Some(code) = &decline.decline_code {
        error["decline_code"] = code.clone().into();
    }
    let intent = edit_intent(world, &intent.id, |intent| {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.last_payment_error = Some(error);
    });
    world.emit("charge.failed", &charge.id, charge.json());
    world.emit("payment_intent.payment_failed", &intent.id, intent.json());
}

fn complete(world: &mut World, id: &str, card: &Card, paid: bool) -> Session {
    edit_session(world, id, |session| {
        session.status = SessionStatus::Complete;
        session.paid = paid;
        session.paid_email = card.email.clone();
    })
}
