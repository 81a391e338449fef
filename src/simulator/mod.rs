//! A stateful provider that speaks the Stripe wire.
