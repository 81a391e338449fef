//! Till: a payment and order-processing back end.
pub mod http;
pub mod simulator;
