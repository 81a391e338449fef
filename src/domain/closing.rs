//! Closing an order that is not paid: on request, or because its time is up.
//!
//! An order is closed only once nothing can bring it money any more. Until then the provider is asked to end
//! what is open; whoever was faster, the customer's payment or the closing, is known only from the facts.

use super::checkout::SessionStatus;
use super::settlement::{FactKind, OrderState};

/// How far the closing of an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Nothing can bring money any more: it may be closed.
    Clear,
    /// A session or a reservation must be ended first.
    Wait,
    /// A payment has won.
    Paid,
    /// A payment is under way and cannot be called back.
    Processing,
    /// It is closed already.
    Closed,
}

/// How far the closing of an order is, by everything that is known.
#[must_use]
pub fn closing(state: &OrderState) -> Closing {
    let live = |wanted: SessionStatus| state.sessions.values().any(|status| *status == wanted);
    let any = |wanted: FactKind| state.payments.iter().any(|p| p.rank == Some(wanted));
    if state.status.is_closed() {
        Closing::Closed
    } else if state.paid.minor() > 0 {
        Closing::Paid
    } else if live(SessionStatus::Processing) || any(FactKind::Processing) {
        Closing::Processing
    } else if live(SessionStatus::Creating)
        || live(SessionStatus::Open)
        || any(FactKind::Authorized)
    {
        Closing::Wait
    } else {
        Closing::Clear
    }
}
