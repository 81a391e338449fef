//! An order's state in words a customer understands: a few sentences, a pure function of what is known of it.
//!
//! What was paid comes first, then what went back or is under way, then the goods, then what is open. Amounts and
//! times stay what they are, so that a page can show them in its reader's way.

use super::parts::{Tone, money_text, when_text};
use super::words::order_state as words;
use crate::domain::dossier::Dossier;
use crate::domain::money::Money;
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use crate::domain::refund::RefundStatus;
use crate::domain::settlement::Reason;
use crate::domain::time::Timestamp;

/// A piece of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Say(&'static str),
    /// An amount.
    Money(Money),
    /// A time.
    When(Timestamp),
}

/// What the sentences are made from.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Where the order stands.
    pub status: OrderStatus,
    /// Where its money stands.
    pub payment: PaymentStatus,
    /// How much of it has been shipped.
    pub fulfilment: FulfilmentStatus,
    /// Whether a cancellation is under way.
    pub closing: bool,
    /// What it costs.
    pub total: Money,
    /// Reserved.
    pub authorized: Money,
    /// Captured and the order's.
    pub paid: Money,
    /// Of it, given back.
    pub refunded: Money,
    /// Of it, taken by disputes.
    pub disputed: Money,
    /// On its way back, of each currency.
    pub refunding: Vec<Money>,
    /// Captured, but not the order's, and still here, of each currency.
    pub suspense: Vec<Money>,
    /// Captured, not the order's, and given back by now, of each currency.
    pub returned: Vec<Money>,
    /// Whether a try to pay was refused and none after it worked.
    pub declined: bool,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was cancelled or expired.
    pub closed_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Its open questions.
    pub reviews: Vec<Reason>,
}

/// An order's state: a word with its tone for lists and titles, and the sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What it means to the reader.
    pub tone: Tone,
    /// The sentences, in order.
    pub parts: Vec<Part>,
}

impl State {
    /// The sentences as text.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Say(text) => (*text).to_owned(),
            Part::Money(money) => money_text(money),
            Part::When(at) => when_text(at),
        });
        parts.collect()
    }
}

impl Standing {
    /// What a dossier says.
    #[must_use]
    pub fn of(dossier: &Dossier) -> Standing {
        let order = &dossier.order;
        let zero = Money::zero(order.currency);
        let amount = |text: &str| Money::parse(text, order.currency).unwrap_or(zero);
        let pending = dossier.payments.iter().flat_map(|sheet| {
            let mine = sheet.refunds.iter().map(|refund| &refund.refund);
            mine.filter(|refund| refund.status == RefundStatus::Pending)
                .map(|refund| refund.amount)
        });
        let others = || dossier.payments.iter().filter(|sheet| !sheet.belongs);
        let suspense = others().filter_map(|sheet| {
            let taken = sheet.disputes.iter().map(|dispute| dispute.taken);
            let gone = taken.chain([sheet.payment.amount_refunded]);
            let gone = Money::sum(sheet.payment.currency, gone).ok()?;
            sheet.payment.amount_captured.checked_sub(gone).ok()
        });
        let returned = others().map(|sheet| sheet.payment.amount_refunded);
        let newest = dossier.payments.first();
        Standing {
            status: order.status,
            payment: order.payment_status,
            fulfilment: order.fulfilment_status,
            closing: dossier.closing && order.status == OrderStatus::Open,
            total: dossier.total,
            authorized: amount(&order.amount_authorized),
            paid: amount(&order.amount_paid),
            refunded: amount(&order.amount_refunded),
            disputed: amount(&order.amount_disputed),
            refunding: by_currency(pending),
            suspense: by_currency(suspense),
            returned: by_currency(returned),
            declined: newest.is_some_and(|sheet| sheet.payment.failure_code.is_some()),
            paid_at: dossier.paid_at,
            closed_at: dossier.closed_at,
            expires_at: order.expires_at,
            reviews: dossier.open_reviews.clone(),
        }
    }

    /// The state in words.
    #[must_use]
    pub fn state(&self) -> State {
        let mut parts = Vec::new();
        self.say_payment(&mut parts);
        let returned = match self.paid.is_zero() {
            true => words::RETURNED,
            false => words::ANOTHER_RETURNED,
        };
        for (amounts, template) in [
            (&self.returned, returned),
            (&self.suspense, words::SUSPENSE),
            (&self.refunding, words::REFUND_PENDING),
        ] {
            for amount in amounts {
                say(&mut parts, template, &[Part::Money(*amount)]);
            }
        }
        self.say_goods(&mut parts);
        for reason in &self.reviews {
            say(&mut parts, words::review(*reason), &[]);
        }
        if self.is_at_rest() {
            say(&mut parts, words::NOTHING_OPEN, &[]);
        }
        State {
            tone: self.tone(),
            parts,
        }
    }

    fn say_payment(&self, parts: &mut Vec<Part>) {
        let paid = self.paid_on();
        match self.payment {
            PaymentStatus::Unpaid => self.say_unpaid(parts),
            PaymentStatus::Pending => say(parts, words::PENDING, &[Part::Money(self.total)]),
            PaymentStatus::Authorized => {
                say(parts, words::AUTHORIZED, &[Part::Money(self.authorized)]);
            }
            PaymentStatus::PartiallyPaid => {
                let rest = self.total.checked_sub(self.paid).unwrap_or(self.total);
                let amounts = [
                    Part::Money(self.paid),
                    Part::Money(self.total),
                    Part::Money(rest),
                ];
                say(parts, words::PARTIALLY_PAID, &amounts);
            }
            PaymentStatus::Paid if self.total.is_zero() => say(parts, words::FREE, &[]),
            PaymentStatus::Paid => parts.extend(paid),
            PaymentStatus::PartiallyRefunded => {
                parts.extend(paid);
                if !self.refunded.is_zero() {
                    say(parts, words::REFUNDED_PART, &[Part::Money(self.refunded)]);
                }
                if !self.disputed.is_zero() {
                    say(parts, words::LOST, &[Part::Money(self.disputed)]);
                }
            }
            PaymentStatus::Refunded => {
                parts.extend(paid);
                say(parts, words::REFUNDED, &[Part::Money(self.refunded)]);
            }
            PaymentStatus::Disputed => {
                parts.extend(paid);
                if !self.refunded.is_zero() {
                    say(parts, words::REFUNDED_PART, &[Part::Money(self.refunded)]);
                }
                say(parts, words::DISPUTED, &[Part::Money(self.disputed)]);
            }
            PaymentStatus::ChargedBack => {
                parts.extend(paid);
                if !self.refunded.is_zero() {
                    say(parts, words::REFUNDED_PART, &[Part::Money(self.refunded)]);
                }
                say(parts, words::CHARGED_BACK, &[Part::Money(self.disputed)]);
            }
        }
    }

    fn say_unpaid(&self, parts: &mut Vec<Part>) {
        let came = !self.suspense.is_empty() || !self.returned.is_empty();
        let closed = |with, without| match self.closed_at {
            Some(at) => (with, vec![Part::When(at)]),
            None => (without, Vec::new()),
        };
        let (template, values) = match self.status {
            OrderStatus::Cancelled if came => closed(words::CANCELLED_ON, words::CANCELLED),
            OrderStatus::Cancelled => closed(words::CANCELLED_UNPAID_ON, words::CANCELLED_UNPAID),
            OrderStatus::Expired => closed(words::EXPIRED_ON, words::EXPIRED),
            OrderStatus::Open | OrderStatus::Completed if self.closing => {
                (words::CLOSING, Vec::new())
            }
            OrderStatus::Open | OrderStatus::Completed => {
                let values = vec![Part::Money(self.total), Part::When(self.expires_at)];
                (words::UNPAID, values)
            }
        };
        say(parts, template, &values);
        let open = self.status == OrderStatus::Open;
        if open && self.declined && !self.closing {
            say(parts, words::DECLINED, &[]);
        }
    }

    fn paid_on(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        match self.paid_at {
            Some(at) => say(
                &mut parts,
                words::PAID_ON,
                &[Part::Money(self.paid), Part::When(at)],
            ),
            None => say(&mut parts, words::PAID, &[Part::Money(self.paid)]),
        }
        parts
    }

    fn say_goods(&self, parts: &mut Vec<Part>) {
        let money_came = !self.paid.is_zero() || self.total.is_zero();
        match (self.status, self.fulfilment) {
            (OrderStatus::Cancelled, FulfilmentStatus::Unfulfilled) if money_came => {
                say(parts, words::CANCELLED, &[]);
            }
            (OrderStatus::Expired, FulfilmentStatus::Unfulfilled) if money_came => {
                say(parts, words::EXPIRED, &[]);
            }
            (OrderStatus::Open, FulfilmentStatus::Unfulfilled) if money_came => {
                say(parts, words::NOT_SHIPPED, &[]);
            }
            (_, FulfilmentStatus::Unfulfilled) => {}
            (_, FulfilmentStatus::PartiallyFulfilled) => say(parts, words::PARTLY_SHIPPED, &[]),
            (_, FulfilmentStatus::Fulfilled) => say(parts, words::SHIPPED, &[]),
        }
    }

    /// Whether no money is under way, owed or asked about.
    fn is_at_rest(&self) -> bool {
        let settled = match self.payment {
            PaymentStatus::Paid
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Refunded
            | PaymentStatus::ChargedBack => true,
            PaymentStatus::Unpaid => self.status.is_closed(),
            PaymentStatus::Pending
            | PaymentStatus::Authorized
            | PaymentStatus::PartiallyPaid
            | PaymentStatus::Disputed => false,
        };
        settled && self.reviews.is_empty() && self.refunding.is_empty() && self.suspense.is_empty()
    }

    fn tone(&self) -> Tone {
        if !self.reviews.is_empty() {
            return Tone::Warn;
        }
        payment_tone(self.payment, self.status)
    }
}

/// What a payment status means to the reader.
#[must_use]
pub fn payment_tone(payment: PaymentStatus, status: OrderStatus) -> Tone {
    match payment {
        PaymentStatus::Paid => Tone::Good,
        PaymentStatus::Pending | PaymentStatus::Authorized | PaymentStatus::PartiallyPaid => {
            Tone::Info
        }
        PaymentStatus::Disputed => Tone::Warn,
        PaymentStatus::ChargedBack => Tone::Bad,
        PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded => Tone::Neutral,
        PaymentStatus::Unpaid if status == OrderStatus::Open => Tone::Info,
        PaymentStatus::Unpaid => Tone::Neutral,
    }
}

/// The sums of what there is, one a currency.
fn by_currency(amounts: impl Iterator<Item = Money>) -> Vec<Money> {
    let mut sums: Vec<Money> = Vec::new();
    for amount in amounts.filter(|amount| amount.minor() > 0) {
        let known = sums.iter_mut();
        match known
            .into_iter()
            .find(|sum| sum.currency() == amount.currency())
        {
            Some(sum) => *sum = sum.checked_add(amount).unwrap_or(*sum),
            None => sums.push(amount),
        }
    }
    sums
}

/// Adds a sentence: each `{}` of the template is one of the values, in order.
fn say(parts: &mut Vec<Part>, template: &'static str, values: &[Part]) {
    if !parts.is_empty() {
        parts.push(Part::Say(" "));
    }
    let mut values = values.iter();
    for (at, text) in template.split("{}").enumerate() {
        if at > 0 {
            parts.extend(values.next());
        }
        if !text.is_empty() {
            parts.push(Part::Say(text));
        }
    }
}

#[cfg(test)]
mod tests {
    //! Every payment status, fulfilment and question has its words, and nothing is said that is not so.

    use super::*;
    use crate::domain::currency::Currency;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::from_code("EUR").expect("euros"))
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn standing(payment: PaymentStatus) -> Standing {
        let paid = match payment {
            PaymentStatus::Unpaid | PaymentStatus::Pending | PaymentStatus::Authorized => 0,
            PaymentStatus::PartiallyPaid => 2_000,
            _ => 5_997,
        };
        Standing {
            status: OrderStatus::Open,
            payment,
            fulfilment: FulfilmentStatus::Unfulfilled,
            closing: false,
            total: eur(5_997),
            authorized: eur(if payment == PaymentStatus::Authorized {
                5_997
            } else {
                0
            }),
            paid: eur(paid),
            refunded: eur(match payment {
                PaymentStatus::PartiallyRefunded => 1_000,
                PaymentStatus::Refunded => 5_997,
                _ => 0,
            }),
            disputed: eur(match payment {
                PaymentStatus::Disputed | PaymentStatus::ChargedBack => 5_997,
                _ => 0,
            }),
            refunding: Vec::new(),
            suspense: Vec::new(),
            returned: Vec::new(),
            declined: false,
            paid_at: (paid == 5_997).then(|| at("2026-05-03T14:02:00Z")),
            closed_at: None,
            expires_at: at("2026-05-04T09:00:00Z"),
            reviews: Vec::new(),
        }
    }

    #[test]
    fn every_payment_status_has_its_sentence() {
        use PaymentStatus as P;
        for (payment, wanted) in [
            (
                P::Unpaid,
                "Waiting for payment of 59.97 EUR, until 4 May 2026, 09:00 UTC.",
            ),
            (
                P::Pending,
                "Payment of 59.97 EUR is under way; the bank has not confirmed it yet.",
            ),
            (
                P::Authorized,
                "59.97 EUR is reserved, but has not been captured yet.",
            ),
            (
                P::PartiallyPaid,
                "20.00 EUR of 59.97 EUR paid; 39.97 EUR is still to be paid. Not shipped yet.",
            ),
            (
                P::Paid,
                "Paid 59.97 EUR on 3 May 2026, 14:02 UTC. Not shipped yet. Nothing is open.",
            ),
            (
                P::PartiallyRefunded,
                "Paid 59.97 EUR on 3 May 2026, 14:02 UTC. 10.00 EUR refunded. Not shipped yet. Nothing is open.",
            ),
            (
                P::Refunded,
                "Paid 59.97 EUR on 3 May 2026, 14:02 UTC. All of it, 59.97 EUR, was refunded. Not shipped yet. Nothing is open.",
            ),
            (
                P::Disputed,
                "Paid 59.97 EUR on 3 May 2026, 14:02 UTC. The customer's bank has taken 59.97 EUR back and nothing is \
                 decided yet. Not shipped yet.",
            ),
            (
                P::ChargedBack,
                "Paid 59.97 EUR on 3 May 2026, 14:02 UTC. The customer's bank took it back for good: 59.97 EUR was \
                 lost. Not shipped yet. Nothing is open.",
            ),
        ] {
            assert_eq!(standing(payment).state().text(), wanted);
        }
    }

    #[test]
    fn goods_are_told_where_they_are() {
        use FulfilmentStatus as F;
        for payment in PaymentStatus::ALL {
            for (fulfilment, said) in [
                (F::PartiallyFulfilled, "Partly shipped."),
                (F::Fulfilled, "Shipped."),
            ] {
                let mut one = standing(*payment);
                one.fulfilment = fulfilment;
                let text = one.state().text();
                assert!(
                    text.contains(said) && !text.contains("Not shipped"),
                    "{text}"
                );
            }
        }
        let mut one = standing(PaymentStatus::Refunded);
        one.status = OrderStatus::Cancelled;
        let text = one.state().text();
        assert!(
            text.ends_with("was refunded. The order is cancelled. Nothing is open."),
            "{text}"
        );
    }

    #[test]
    fn every_question_is_told_and_nothing_is_at_rest_with_one() {
        for payment in PaymentStatus::ALL {
            for reason in Reason::ALL {
                let mut one = standing(*payment);
                one.reviews = vec![*reason];
                let state = one.state();
                let text = state.text();
                assert!(text.contains(words::review(*reason)), "{text}");
                assert!(!text.contains(words::NOTHING_OPEN), "{text}");
                assert_eq!(state.tone, Tone::Warn);
            }
            for change in [
                (|one: &mut Standing| one.refunding = vec![eur(1_000)]) as fn(&mut Standing),
                |one| one.suspense = vec![eur(1_000)],
            ] {
                let mut one = standing(*payment);
                change(&mut one);
                let text = one.state().text();
                assert!(
                    text.contains("10.00 EUR") && !text.contains(words::NOTHING_OPEN),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn an_unpaid_order_says_what_became_of_it() {
        let closed = at("2026-05-04T09:00:01Z");
        let with = |change: &dyn Fn(&mut Standing)| {
            let mut one = standing(PaymentStatus::Unpaid);
            change(&mut one);
            one.state().text()
        };
        assert_eq!(
            with(&|one| {
                one.status = OrderStatus::Cancelled;
                one.closed_at = Some(closed);
            }),
            "Cancelled on 4 May 2026, 09:00 UTC, before anything was paid. Nothing is open."
        );
        assert_eq!(
            with(&|one| one.status = OrderStatus::Expired),
            "Not paid in time, so it expired. Nothing is open."
        );
        assert_eq!(
            with(&|one| one.closing = true),
            "It is being cancelled; the provider has not confirmed that it can no longer be paid."
        );
        assert_eq!(
            with(&|one| one.declined = true),
            "Waiting for payment of 59.97 EUR, until 4 May 2026, 09:00 UTC. The last try to pay was refused."
        );
        let mut free = standing(PaymentStatus::Paid);
        (free.total, free.paid) = (eur(0), eur(0));
        assert_eq!(
            free.state().text(),
            "There is nothing to pay. Not shipped yet. Nothing is open."
        );
    }

    /// Whoever asks "I was charged twice" is answered by the first line.
    #[test]
    fn money_that_is_not_the_orders_is_told_whatever_became_of_it() {
        let usd = Money::new(6_000, Currency::from_code("USD").expect("dollars"));
        let mut twice = standing(PaymentStatus::Paid);
        twice.returned = vec![eur(5_997)];
        assert_eq!(
            twice.state().text(),
            "Paid 59.97 EUR on 3 May 2026, 14:02 UTC. Another 59.97 EUR arrived and went back to the customer. Not \
             shipped yet. Nothing is open."
        );
        let mut foreign = standing(PaymentStatus::Unpaid);
        foreign.suspense = vec![usd];
        assert_eq!(
            foreign.state().text(),
            "Waiting for payment of 59.97 EUR, until 4 May 2026, 09:00 UTC. 60.00 USD arrived that does not belong to \
             this order."
        );
        let mut late = standing(PaymentStatus::Unpaid);
        late.status = OrderStatus::Cancelled;
        late.closed_at = Some(at("2026-05-04T09:00:01Z"));
        late.returned = vec![eur(5_997)];
        assert_eq!(
            late.state().text(),
            "Cancelled on 4 May 2026, 09:00 UTC. 59.97 EUR arrived and went back to the customer. Nothing is open."
        );
        assert_eq!(
            by_currency([eur(100), usd, eur(0), eur(20)].into_iter()),
            [eur(120), usd]
        );
    }

    #[test]
    fn no_sentence_is_left_with_a_gap() {
        for payment in PaymentStatus::ALL {
            for status in OrderStatus::ALL {
                for fulfilment in FulfilmentStatus::ALL {
                    let mut one = standing(*payment);
                    (one.status, one.fulfilment) = (*status, *fulfilment);
                    one.closed_at = Some(at("2026-05-04T09:00:01Z"));
                    let text = one.state().text();
                    assert!(!text.contains("{}") && !text.contains("  "), "{text}");
                    assert!(text.ends_with('.'), "{text}");
                }
            }
        }
    }
}
