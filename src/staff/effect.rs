//! What an action will do, as its preview says it: the money that moves, what the ledger posts, what becomes of the
//! order.

use askama::Template;
use askama::filters::HtmlSafe;

use super::{parts, words};
use crate::domain::ids::PaymentId;
use crate::domain::money::Money;
use crate::service::actions::{Preview, Way};

/// Money that moves, in words.
struct MoveView {
    amount: Money,
    way: &'static str,
    payment: PaymentId,
    suspense: bool,
}

/// A line of what the ledger will post.
struct PostingView {
    account: &'static str,
    debit: Option<Money>,
    credit: Option<Money>,
}

/// A line of what becomes of the order.
struct ChangeView {
    name: &'static str,
    now: String,
    then: String,
}

/// What an action will do, for people.
#[derive(Template)]
#[template(
    path = "actions/effect.html",
    config = "src/staff/templates/askama.toml"
)]
pub(super) struct Effect {
    moves: Vec<MoveView>,
    to: String,
    lines: Vec<(String, u32, Money)>,
    given_up: Vec<PaymentId>,
    ends_session: bool,
    postings: Vec<PostingView>,
    changes: Vec<ChangeView>,
    no_undo: Option<&'static str>,
}

impl HtmlSafe for Effect {}

impl Effect {
    /// Of a preview; `customer` is whose order it is, and who gets money back, if that is known.
    pub(super) fn of(
        preview: &Preview,
        customer: Option<&str>,
        no_undo: Option<&'static str>,
    ) -> Effect {
        let back = preview.moves.iter().any(|moved| moved.way == Way::Back);
        let moves = preview.moves.iter().map(|moved| MoveView {
            amount: moved.amount,
            way: words::actions::way(moved.way),
            payment: moved.payment.id,
            suspense: moved.way == Way::Back && !moved.payment.belongs,
        });
        let lines = preview.lines.iter().map(|line| {
            let mut known = preview.standing.lines.iter();
            let known = known.find(|known| known.id == line.line_item);
            let name = known.map(|known| known.name.clone());
            (name.unwrap_or_default(), line.quantity, line.amount)
        });
        let postings = preview.foreseen.postings.iter().map(|posting| {
            let amount = |minor: i64| (minor != 0).then(|| Money::new(minor, posting.currency));
            PostingView {
                account: words::actions::account(posting.account),
                debit: amount(posting.debit_minor),
                credit: amount(posting.credit_minor),
            }
        });
        Effect {
            moves: moves.collect(),
            to: match back {
                true => words::actions::goes_back_to(customer),
                false => words::actions::is_the_order_of(customer),
            },
            lines: lines.collect(),
            given_up: preview
                .given_up()
                .iter()
                .map(|payment| payment.id)
                .collect(),
            ends_session: preview.ends_session,
            postings: postings.collect(),
            changes: changes(preview),
            no_undo,
        }
    }
}

fn changes(preview: &Preview) -> Vec<ChangeView> {
    let (before, after) = (&preview.foreseen.before, &preview.foreseen.after);
    let text = |money: Money| parts::money_text(&money);
    let all = [
        (
            words::actions::STATUS,
            words::orders::status(before.status).to_owned(),
            words::orders::status(after.status).to_owned(),
        ),
        (
            words::actions::MONEY,
            words::orders::payment_told(before.payment_status, before.status, before.refunded)
                .to_owned(),
            words::orders::payment_told(after.payment_status, after.status, after.refunded)
                .to_owned(),
        ),
        (words::actions::PAID, text(before.paid), text(after.paid)),
        (
            words::actions::REFUNDED,
            text(before.refunded),
            text(after.refunded),
        ),
    ];
    let changed = all.into_iter().filter(|(_, now, then)| now != then);
    changed
        .map(|(name, now, then)| ChangeView { name, now, then })
        .collect()
}
