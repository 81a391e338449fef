//! The staff console in a real browser: what a person sees, clicks and types, and what the pages must never do.

mod chromium;
mod console;
mod doors;
mod driver;
mod keyboard;
mod looks;
mod pages;
mod stories;
mod tab;
mod watch;
