//! What happens by itself when simulated time passes.
use super::{capture, edit_session, emit_session};
use crate::simulator::objects::intent::IntentStatus;
use crate::simulator::objects::session::SessionStatus;
use crate::simulator::world::{Alarm, World};

/// Does what is due; cheap when nothing is.
pub fn tick(world: &mut World) {
    let now = world.clock.now();
    while world.alarms.first().is_some_and(|(at, _)| *at <= now) {
        match world.alarms.pop_first() {
            Some((_, Alarm::Session(id))) => expire(world, &id),
            Some((_, Alarm::Authorisation(id))) => capture::lapse(world, &id),
            None => break,
        }
    }
    let now_ms = world.clock.now_ms();
    world.keys.prune(now_ms);
}

/// Expires a session if it is still open, and gives up the intent of its failed tries.
pub fn expire(world: &mut World, id: &str) {
    let Some(session) = world.sessions.get(id) else {
        return;
    };
    if session.status != SessionStatus::Open {
        return;
    }
    let session = edit_session(world, id, |session| session.status = SessionStatus::Expired);
    emit_session(world, "checkout.session.expired", &session);
    let intent = session
        .payment_intent
        .as_deref()
        .and_then(|id| world.intents.get(id))
        .cloned();
    let untaken = [
        IntentStatus::RequiresPaymentMethod,
        IntentStatus::RequiresAction,
    ];
    if let Some(intent) = intent.filter(|intent| untaken.contains(&intent.status)) {
        capture::release(world, &intent, Some("expired".into()));
    }
}
