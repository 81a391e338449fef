//! A stateful provider that speaks the Stripe wire over real HTTP, for demos and tests.
//!
//! It keeps sessions, payment intents, charges, refunds and disputes as Stripe does, shows a page on
//! which a person can pay, signs and retries webhooks, and can be told to fail in every way that
//! Stripe or the network between can (`/_simulator/faults`). It shares no code with the rest of
//! Till: shared code would share its mistakes, and the two sides must be able to disagree.
mod acts;
mod clock;
mod config;
mod delivery;
mod failure;
mod faults;
mod form;
mod http;
mod idempotency;
mod ids;
mod journal;
mod money;
mod objects;
mod ops;
mod outbox;
mod params;
mod server;
mod shared;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod world;

pub use config::{SimulatorConfig, SimulatorError};
pub use server::Simulator;
