//! The rules of Till, pure: money, states, the fold of facts and the public shape of every object.
//!
//! Nothing here reads a clock, a database or the network, so every rule can be tested as a function. Numbers
//! are exact: floats, `as` and unchecked arithmetic are refused by the compiler.
#![deny(
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects
)]

pub mod access;
pub mod audit;
pub mod books;
pub mod call;
pub mod card_number;
pub mod catalogue;
pub mod chapters;
pub mod checkout;
pub mod closing;
pub mod currency;
pub mod dossier;
pub mod event;
pub mod forms;
pub mod health;
pub mod ids;
pub mod inbox;
pub mod ledger;
pub mod money;
pub mod observed;
pub mod order;
pub mod order_view;
pub mod overview;
pub mod page;
pub mod payment;
pub mod pricing;
pub mod queue;
pub mod redact;
pub mod refund;
pub mod resolution;
pub mod search;
pub mod settlement;
pub mod staff;
pub mod standing;
pub mod text;
pub mod time;
pub mod timeline;
pub mod typed_amount;
pub mod verify;
