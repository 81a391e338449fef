//! Till: a payment and order-processing back end.
pub mod domain;
pub mod simulator;
