//! End to end: a started simulator, real HTTP, a receiver that keeps what webhooks arrive.
mod api;
mod faults;
mod harness;
mod lifecycle;
mod pages;
mod restart;
mod webhooks;
