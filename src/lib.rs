//! Till: a payment and order-processing back end.
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod front;
pub mod http;
pub mod metrics;
pub mod provider;
pub mod secrets;
pub mod service;
pub mod simulator;
pub mod staff;
pub mod store;
pub mod telemetry;
pub mod worker;
