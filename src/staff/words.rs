//! The message catalogue: every sentence a person reads in the console.
//!
//! One module a page. A sentence without parameters is a constant, one with parameters a function; both are used in
//! templates by their path, as in `{{ words::layout::SIGN_OUT }}`.

/// Sentences without parameters, each documented by itself.
macro_rules! words {
    ($($name:ident = $text:literal;)*) => {$(
        #[doc = $text]
        pub const $name: &str = $text;
    )*};
}

pub mod account;
pub mod actions;
pub mod audit;
pub mod calls;
pub mod codes;
pub mod figures;
pub mod layout;
pub mod ledger;
pub mod lists;
pub mod notes;
pub mod order;
pub mod order_state;
pub mod orders;
pub mod overview;
pub mod parts;
pub mod payments;
pub mod people;
pub mod reviews;
pub mod session;
pub mod timeline;
pub mod trouble;
pub mod webhooks;

use crate::domain::staff::Role;

/// A role, as people say it.
#[must_use]
pub fn role(role: &Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Operator => "Operator",
        Role::Finance => "Finance",
        Role::Admin => "Admin",
    }
}
