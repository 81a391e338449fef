//! What customers, their banks, the merchant's dashboard and time do to the provider's objects.
//!
//! Each act changes the objects and emits the events that Stripe emits, with snapshots as of then.
pub mod capture;
pub mod dispute;
pub mod pay;
pub mod refund;
pub mod time;

use super::failure::Failure;
use super::objects::balance::Transaction;
use super::objects::charge::Charge;
use super::objects::intent::Intent;
use super::objects::session::Session;
use super::world::World;

/// A movement of the merchant's balance to be booked.
pub struct Booking<'a> {
    /// Such as `charge`.
    pub kind: &'a str,
    /// Such as `charge`.
    pub category: &'a str,
    /// The object it comes from.
    pub source: &'a str,
    /// Minor units.
    pub amount: i64,
    /// Minor units.
    pub fee: i64,
    /// Lower case.
    pub currency: &'a str,
}

/// Books a movement and gives its `txn_…`.
pub fn book(world: &mut World, booking: Booking<'_>) -> Transaction {
    let transaction = Transaction {
        id: world.ids.id("txn_"),
        created: world.clock.now(),
        amount: booking.amount,
        fee: booking.fee,
        currency: booking.currency.to_owned(),
        kind: booking.kind.to_owned(),
        category: booking.category.to_owned(),
        source: booking.source.to_owned(),
        description: format!("{} {}", booking.kind, booking.source),
    };
    world.transactions.put(transaction.clone());
    transaction
}

/// Changes a session that is known to exist and gives it as it is then.
pub fn edit_session(world: &mut World, id: &str, change: impl FnOnce(&mut Session)) -> Session {
    let session = world
        .sessions
        .edit(id)
        .expect("the session was looked up before");
    change(session);
    session.clone()
}

/// Changes an intent that is known to exist and gives it as it is then.
pub fn edit_intent(world: &mut World, id: &str, change: impl FnOnce(&mut Intent)) -> Intent {
    let intent = world
        .intents
        .edit(id)
        .expect("the intent was looked up before");
    change(intent);
    intent.clone()
}

/// Changes a charge that is known to exist and gives it as it is then.
pub fn edit_charge(world: &mut World, id: &str, change: impl FnOnce(&mut Charge)) -> Charge {
    let charge = world
        .charges
        .edit(id)
        .expect("the charge was looked up before");
    change(charge);
    charge.clone()
}

/// Emits an event of the session as it is now.
pub fn emit_session(world: &mut World, kind: &str, session: &Session) {
    let object = session.json(&world.base_url);
    world.emit(kind, &session.id, object);
}

/// The charge that holds a session's money.
pub fn charge_of_session(world: &World, id: &str) -> Result<String, Failure> {
    let session = world.sessions.find(id, "session")?;
    let intent = session
        .payment_intent
        .as_deref()
        .and_then(|id| world.intents.get(id));
    let charge = intent.and_then(|intent| intent.latest_charge.clone());
    charge.ok_or_else(|| Failure::state("The session has no charge."))
}
