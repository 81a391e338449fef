//! Till's rows: one table a file. Rows are not what callers see; they know neither serde nor logic.

pub mod api_key;
pub mod checkout_session;
pub mod deployment;
pub mod event;
pub mod idempotency_key;
pub mod ledger_account;
pub mod ledger_entry;
pub mod ledger_transaction;
pub mod line_item;
pub mod order;
pub mod order_note;
pub mod order_term;
pub mod payment;
pub mod price;
pub mod product;
pub mod provider_account;
pub mod provider_attempt;
pub mod provider_call;
pub mod provider_event;
pub mod provider_fact;
pub mod refund;
pub mod refund_line;
pub mod review;
pub mod review_decision;
pub mod search_cursor;
pub mod shop;
