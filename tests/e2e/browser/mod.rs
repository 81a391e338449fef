//! The staff console in a real browser: what a person sees, clicks and types, and what the pages must never do.

mod chromium;
mod driver;
mod looks;
mod tab;
mod watch;
