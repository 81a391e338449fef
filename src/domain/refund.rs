//! Refunds: money that goes back, whole, by amount or by lines.

use serde::Serialize;

use super::access::words;
use super::currency::Currency;
use super::ids::{LineItemId, OrderId, PaymentId, RefundId};
use super::money::Money;
use super::page::Span;
use super::time::Timestamp;

words! {
    /// Where a refund stands.
    RefundStatus {
        /// Asked for; the provider has not said that it went back.
        Pending = "pending",
        /// The money went back.
        Succeeded = "succeeded",
        /// The money did not go back, or came back.
        Failed = "failed",
    }
}

words! {
    /// Why money is given back, in the words providers report to banks.
    RefundReason {
        /// The customer paid twice.
        Duplicate = "duplicate",
        /// Fraud: the customer did not make the payment.
        Fraudulent = "fraudulent",
        /// The customer asked.
        RequestedByCustomer = "requested_by_customer",
    }
}

words! {
    /// Who wanted a refund.
    RefundOrigin {
        /// A caller of the API, or staff.
        Request = "request",
        /// Till, because the money was no order's.
        Policy = "policy",
        /// Somebody at the provider.
        Provider = "provider",
    }
}

/// A refund as callers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Refund {
    /// The refund's id.
    pub id: RefundId,
    /// Always `refund`.
    #[schema(example = "refund")]
    pub object: &'static str,
    /// The order.
    pub order_id: OrderId,
    /// The payment it goes back from.
    pub payment_id: PaymentId,
    /// How much goes back.
    #[schema(value_type = super::forms::Amount)]
    pub amount: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// Why, when a reason was given.
    #[schema(required = true)]
    pub reason: Option<RefundReason>,
    /// Where it stands.
    pub status: RefundStatus,
    /// The provider's own id, once it is known.
    #[schema(required = true, pattern = "^[A-Za-z0-9_.-]{1,255}$")]
    pub provider_refund_id: Option<String>,
    /// Why it failed, as a short code of the provider's.
    #[schema(required = true, pattern = "^[A-Za-z0-9_.-]{1,255}$")]
    pub failure_reason: Option<String>,
    /// The lines it gives back, when it was asked for by lines.
    pub line_items: Vec<RefundLine>,
    /// When it was asked for, or first seen.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Which refunds staff look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// Where they stand.
    pub status: Option<RefundStatus>,
    /// Why they were made.
    pub reason: Option<RefundReason>,
    /// Those of one order.
    pub order: Option<OrderId>,
    /// Those of one payment.
    pub payment: Option<PaymentId>,
    /// When they were asked for, or first seen.
    pub made: Span,
}

/// A refund as staff see it.
#[derive(Debug, Clone)]
pub struct RefundFile {
    /// What callers see, too.
    pub refund: Refund,
    /// The number of its order.
    pub order_number: String,
    /// Who wanted it.
    pub origin: RefundOrigin,
    /// Who made it: a key, a member of staff, or `system`.
    pub actor: String,
    /// The request it was made in.
    pub request_id: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A line that a refund gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RefundLine {
    /// The line of the order.
    pub line_item: LineItemId,
    /// How many of it.
    #[schema(example = 1, minimum = 1, maximum = 9999)]
    pub quantity: u32,
    /// What they give back.
    #[schema(value_type = super::forms::Amount)]
    pub amount: Money,
}

/// What a refund is to give back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundShare {
    /// Everything that is left.
    Rest,
    /// An amount.
    Amount(#[serde(serialize_with = "super::text::as_shortest_amount")] String),
    /// So many of these lines.
    Lines(Vec<(LineItemId, u32)>),
}

/// A refund as a caller wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewRefund {
    /// What it gives back.
    pub share: RefundShare,
    /// Why.
    pub reason: Option<RefundReason>,
    /// From which payment, when several could be meant.
    pub payment: Option<PaymentId>,
}

/// A line of an order, as far as refunds need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnableLine {
    /// The line.
    pub id: LineItemId,
    /// Its part of the order's total, in minor units.
    pub total_minor: i64,
    /// How many were ordered.
    pub quantity: u32,
    /// How many are refunded already, or about to be.
    pub refunded: u32,
}

/// Why lines cannot be given back; the number is the position in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    /// The order has no such line.
    Unknown(usize),
    /// The line is named twice.
    Twice(usize),
    /// More than is left of the line; so many are.
    TooMany(usize, u32),
}

/// What giving back these lines comes to: the amount, and each line's part of it.
///
/// Every line has a share of what was captured, by its part of the order's total; the share of so many pieces
/// is counted from the first piece on, so that the pieces of a line sum to its share however they are split.
/// Who gives back the last pieces of the last line gets all that is `left` of it: shipping, and cents of rounding.
///
/// # Errors
/// [`LineFault`].
pub fn share_of_lines(
    order_total: Money,
    captured: Money,
    left: Money,
    lines: &[ReturnableLine],
    wanted: &[(LineItemId, u32)],
) -> Result<(Money, Vec<RefundLine>), LineFault> {
    let shares = line_shares(order_total, captured, lines);
    let mut returned = Vec::with_capacity(wanted.len());
    let mut sum: i64 = 0;
    for (at, (id, quantity)) in wanted.iter().enumerate() {
        let known = lines.iter().zip(&shares).find(|(line, _)| line.id == *id);
        let (line, share) = known.ok_or(LineFault::Unknown(at))?;
        if wanted.iter().take(at).any(|(other, _)| other == id) {
            return Err(LineFault::Twice(at));
        }
        let open = line.quantity.saturating_sub(line.refunded);
        if *quantity > open {
            return Err(LineFault::TooMany(at, open));
        }
        let before = pieces_share(*share, line.refunded, line.quantity);
        let after = pieces_share(
            *share,
            line.refunded.saturating_add(*quantity),
            line.quantity,
        );
        let amount = after.saturating_sub(before);
        sum = sum.saturating_add(amount);
        returned.push(RefundLine {
            line_item: *id,
            quantity: *quantity,
            amount: Money::new(amount, captured.currency()),
        });
    }
    let completes = lines.iter().all(|line| {
        let wanted = wanted.iter().find(|(id, _)| *id == line.id);
        let more = wanted.map_or(0, |(_, quantity)| *quantity);
        line.refunded.saturating_add(more) >= line.quantity
    });
    let amount = if completes { left.minor() } else { sum };
    Ok((Money::new(amount, captured.currency()), returned))
}

/// Each line's share of what was captured, in minor units. What no line accounts for is shipping, and stays
/// out of all of them.
fn line_shares(order_total: Money, captured: Money, lines: &[ReturnableLine]) -> Vec<i64> {
    let sum = lines
        .iter()
        .fold(0_i64, |sum, line| sum.saturating_add(line.total_minor));
    let rest = order_total.minor().saturating_sub(sum).max(0);
    let weights = lines.iter().map(|line| line.total_minor).chain([rest]);
    let weights: Vec<u64> = weights
        .map(|minor| u64::try_from(minor).unwrap_or(0))
        .collect();
    let mut shares: Vec<i64> = captured
        .allocate(&weights)
        .into_iter()
        .map(Money::minor)
        .collect();
    shares.truncate(lines.len());
    shares
}

/// What the first `pieces` of `quantity` come to, rounded down; all of them come to the whole share.
fn pieces_share(share: i64, pieces: u32, quantity: u32) -> i64 {
    let whole = i128::from(share).saturating_mul(i128::from(pieces));
    let part = whole.checked_div(i128::from(quantity)).unwrap_or(0);
    i64::try_from(part).unwrap_or(share)
}

#[cfg(test)]
mod tests {
    //! Lines returned in any order and any split sum to what was captured.
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, which is what it is for"
    )]

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::Id;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::from_code("EUR").expect("euros"))
    }

    fn line_id(n: usize) -> LineItemId {
        LineItemId::from_uuid(Uuid::from_u128(u128::try_from(n).expect("small")))
    }

    fn lines(of: &[(i64, u32)]) -> Vec<ReturnableLine> {
        let lines = of.iter().enumerate();
        lines
            .map(|(n, (total_minor, quantity))| ReturnableLine {
                id: line_id(n),
                total_minor: *total_minor,
                quantity: *quantity,
                refunded: 0,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn parts_sum_to_what_was_captured_and_the_last_takes_the_remainder(
            of in prop::collection::vec((0_i64..50_000, 1_u32..6), 1..6),
            shipping in 0_i64..2_000,
            captured_percent in 1_i64..=100,
            order in Just((0..30).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let mut lines = lines(&of);
            let total = of.iter().map(|(total, _)| total).sum::<i64>() + shipping;
            let captured = total * captured_percent / 100;
            let mut left = captured;
            let pieces: Vec<usize> = of
                .iter()
                .enumerate()
                .flat_map(|(n, (_, quantity))| vec![n; usize::try_from(*quantity).expect("small")])
                .collect();
            for n in order.into_iter().filter_map(|at| pieces.get(at).copied()) {
                let wanted = [(line_id(n), 1)];
                let (amount, parts) =
                    share_of_lines(eur(total), eur(captured), eur(left), &lines, &wanted)
                        .expect("there is a piece left");
                prop_assert!(amount.minor() >= 0 && amount.minor() <= left);
                prop_assert_eq!(parts.len(), 1);
                left -= amount.minor();
                lines[n].refunded += 1;
            }
            prop_assert_eq!(left, 0);
        }
    }

    #[test]
    fn three_for_ten_give_back_three_thirds() {
        let lines = [ReturnableLine {
            refunded: 1,
            ..lines(&[(1_000, 3)])[0]
        }];
        let wanted = [(line_id(0), 1)];
        let (amount, _) =
            share_of_lines(eur(1_500), eur(1_500), eur(1_167), &lines, &wanted).expect("one");
        assert_eq!(amount, eur(333));
        let wanted = [(line_id(0), 2)];
        let (amount, parts) =
            share_of_lines(eur(1_500), eur(1_500), eur(1_167), &lines, &wanted).expect("two");
        assert_eq!(amount, eur(1_167), "the last one takes the shipping too");
        assert_eq!(parts[0].amount, eur(667));
    }

    #[test]
    fn lines_that_are_not_there_are_refused() {
        let lines = lines(&[(1_000, 2)]);
        let share = |wanted: &[(LineItemId, u32)]| {
            share_of_lines(eur(1_000), eur(1_000), eur(1_000), &lines, wanted).unwrap_err()
        };
        assert_eq!(share(&[(line_id(7), 1)]), LineFault::Unknown(0));
        assert_eq!(share(&[(line_id(0), 3)]), LineFault::TooMany(0, 2));
        let twice = [(line_id(0), 1), (line_id(0), 1)];
        assert_eq!(share(&twice), LineFault::Twice(1));
    }
}
