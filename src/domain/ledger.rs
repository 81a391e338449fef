//! The ledger: double entry over money, not over orders. Placing an order posts nothing.
//!
//! For each payment the fold gives target balances; a fact that moves a target posts one transaction of
//! target − posted. So a posting is never "the refund entry" but always what brings the books to the facts.
//!
//! | fact | debit | credit |
//! |---|---|---|
//! | captured and the order's | provider_clearing | sales |
//! | captured and not | provider_clearing | suspense |
//! | accepted by staff | suspense | sales |
//! | refund succeeded | refunds (or suspense) | provider_clearing |
//! | dispute withdrawn | disputes_held | provider_clearing |
//! | dispute lost | dispute_losses (or suspense) | disputes_held |
//! | fee | provider_fees | provider_clearing |

use std::collections::BTreeMap;

use super::access::words;
use super::currency::Currency;
use super::ids::PaymentId;
use super::settlement::{OrderState, PaymentState};

words! {
    /// The accounts every shop has in every currency it takes.
    LedgerAccountName {
        /// Money the provider holds for the shop.
        ProviderClearing = "provider_clearing",
        /// Money taken for orders.
        Sales = "sales",
        /// Money given back.
        Refunds = "refunds",
        /// Money that is no order's, until somebody decides.
        Suspense = "suspense",
        /// Money taken by disputes that are not decided.
        DisputesHeld = "disputes_held",
        /// Money lost in disputes.
        DisputeLosses = "dispute_losses",
        /// Money the provider kept.
        ProviderFees = "provider_fees",
    }
}

/// What a balance is counted by: a payment's share of an account, in a currency.
pub type Slot = (PaymentId, LedgerAccountName, Currency);

/// Balances by payment and account in minor units; debits count positive, credits negative.
pub type Balances = BTreeMap<Slot, i64>;

/// One line of a transaction: either side is zero, neither is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The payment it is about.
    pub payment: PaymentId,
    /// The account.
    pub account: LedgerAccountName,
    /// The currency.
    pub currency: Currency,
    /// Debited, in minor units.
    pub debit_minor: i64,
    /// Credited, in minor units.
    pub credit_minor: i64,
}

/// The balances the books must show for a state.
#[must_use]
pub fn targets(state: &OrderState) -> Balances {
    let mut balances = Balances::new();
    for payment in &state.payments {
        add_payment(&mut balances, payment);
    }
    balances.retain(|_, balance| *balance != 0);
    balances
}

fn add_payment(balances: &mut Balances, payment: &PaymentState) {
    use LedgerAccountName as A;
    let currency = payment.requested.currency();
    let mut add = |account, amount: i64| {
        let balance = balances.entry((payment.id, account, currency)).or_default();
        *balance = balance.saturating_add(amount);
    };
    let (income, given_back, lost_to) = if payment.belongs {
        (A::Sales, A::Refunds, A::DisputeLosses)
    } else {
        (A::Suspense, A::Suspense, A::Suspense)
    };
    let lost = payment.lost_minor();
    let held = payment.net_withdrawn_minor().saturating_sub(lost);
    add(
        A::ProviderClearing,
        payment.kept_minor().saturating_sub(payment.fee_minor),
    );
    add(income, payment.captured_minor.saturating_neg());
    add(given_back, payment.refunded_minor);
    add(A::DisputesHeld, held);
    add(lost_to, lost);
    add(A::ProviderFees, payment.fee_minor);
}

/// The postings that bring `posted` to `targets`; none when they agree. They always balance, because both
/// sides do.
#[must_use]
pub fn difference(targets: &Balances, posted: &Balances) -> Vec<Posting> {
    let mut slots: Vec<&Slot> = targets.keys().chain(posted.keys()).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
        .into_iter()
        .filter_map(|slot| {
            let target = targets.get(slot).copied().unwrap_or(0);
            let known = posted.get(slot).copied().unwrap_or(0);
            let moved = target.saturating_sub(known);
            (moved != 0).then(|| Posting {
                payment: slot.0,
                account: slot.1,
                currency: slot.2,
                debit_minor: moved.max(0),
                credit_minor: moved.saturating_neg().max(0),
            })
        })
        .collect()
}

/// Whether postings sum to nothing in every currency.
#[must_use]
pub fn is_balanced(postings: &[Posting]) -> bool {
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for posting in postings {
        let sum = sums.entry(posting.currency).or_default();
        let moved = posting.debit_minor.saturating_sub(posting.credit_minor);
        *sum = sum.saturating_add(moved);
    }
    sums.values().all(|sum| *sum == 0)
}

#[cfg(test)]
mod tests {
    //! The postings of random histories, and the table of the module row by row.
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, which is what it is for"
    )]

    use proptest::prelude::*;

    use super::LedgerAccountName as A;
    use super::*;
    use crate::domain::refund::RefundStatus;
    use crate::domain::settlement::laws::histories::{
        BY_POLICY, BY_STAFF, History, OUTSIDE, Object, eur, numbered, plausible, simple_order, wild,
    };
    use crate::domain::settlement::laws::path;
    use crate::domain::settlement::{FactDraft, FactKind, Terms, fold};

    /// Posts a history one fact at a time, as settlement does, checking every transaction.
    fn post(history: &History) -> Result<Balances, TestCaseError> {
        let mut posted = Balances::new();
        for state in path(history) {
            let postings = difference(&targets(&state), &posted);
            prop_assert!(is_balanced(&postings));
            let mut slots = std::collections::BTreeSet::new();
            for posting in &postings {
                let (debit, credit) = (posting.debit_minor, posting.credit_minor);
                prop_assert!(
                    debit.min(credit) == 0 && debit.max(credit) > 0,
                    "{:?}",
                    posting
                );
                let slot = (posting.payment, posting.account, posting.currency);
                prop_assert!(
                    slots.insert(slot),
                    "an account has one line in a transaction"
                );
                *posted.entry(slot).or_default() += debit - credit;
            }
            posted.retain(|_, balance| *balance != 0);
            prop_assert_eq!(&posted, &targets(&state));
        }
        Ok(posted)
    }

    proptest! {
        #[test]
        fn every_transaction_balances_and_the_order_of_facts_does_not_matter(
            (history, other) in wild().prop_flat_map(|history| {
                let terms = history.terms.clone();
                let other = Just(history.facts.clone()).prop_shuffle();
                let other = other.prop_map(move |facts| History { terms: terms.clone(), facts });
                (Just(history), other)
            })
        ) {
            prop_assert_eq!(post(&history)?, post(&other)?);
        }

        #[test]
        fn the_trial_balance_is_zero_in_every_currency(history in wild()) {
            let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
            for ((_, _, currency), balance) in post(&history)? {
                *sums.entry(currency).or_default() += balance;
            }
            prop_assert!(sums.values().all(|sum| *sum == 0), "{:?}", sums);
        }

        #[test]
        fn every_account_shows_what_the_facts_say(history in wild()) {
            let state = fold(&history.terms, &history.facts);
            let balances = targets(&state);
            for payment in &state.payments {
                let currency = payment.requested.currency();
                let on = |account| {
                    balances.get(&(payment.id, account, currency)).copied().unwrap_or(0)
                };
                let taken: i64 = payment.disputes.iter().map(|d| d.net_withdrawn_minor).sum();
                let lost = payment.disputes.iter().filter(|dispute| dispute.is_lost());
                let lost: i64 = lost.map(|dispute| dispute.net_withdrawn_minor).sum();
                let (came, back) = (payment.captured_minor, payment.refunded_minor);
                prop_assert_eq!(on(A::ProviderClearing), came - back - taken - payment.fee_minor);
                prop_assert_eq!(on(A::ProviderFees), payment.fee_minor);
                prop_assert_eq!(on(A::DisputesHeld), taken - lost);
                let ours = payment.belongs;
                prop_assert_eq!(on(A::Sales), if ours { -came } else { 0 });
                prop_assert_eq!(on(A::Refunds), if ours { back } else { 0 });
                prop_assert_eq!(on(A::DisputeLosses), if ours { lost } else { 0 });
                // What is nobody's is owed until it has gone back or is lost.
                prop_assert_eq!(on(A::Suspense), if ours { 0 } else { back + lost - came });
            }
        }

        /// What the rows say went back has left the provider's account, and nothing else has.
        #[test]
        fn the_books_agree_with_the_refunds(history in plausible()) {
            let state = fold(&history.terms, &history.facts);
            let balances = targets(&state);
            for payment in &state.payments {
                let currency = payment.requested.currency();
                let on = |account| {
                    balances.get(&(payment.id, account, currency)).copied().unwrap_or(0)
                };
                let rows = state.refunds.iter().filter(|refund| refund.payment == payment.id);
                let back = rows.filter(|refund| refund.status == RefundStatus::Succeeded);
                let back: i64 = back.map(|refund| refund.taken_minor).sum();
                let gone = payment.net_withdrawn_minor() + payment.fee_minor;
                prop_assert_eq!(on(A::ProviderClearing), payment.captured_minor - back - gone);
                prop_assert_eq!(on(A::Refunds), if payment.belongs { back } else { 0 });
            }
        }

        #[test]
        fn sales_refunds_and_losses_are_the_orders_amounts(history in wild()) {
            let state = fold(&history.terms, &history.facts);
            let sum = |account| {
                let slots = targets(&state).into_iter().filter(|((_, of, _), _)| *of == account);
                slots.map(|(_, balance)| balance).sum::<i64>()
            };
            prop_assert_eq!(sum(A::Sales), -state.paid.minor());
            prop_assert_eq!(sum(A::Refunds), state.refunded.minor());
        }
    }

    /// What one more fact posts after others, as account, debit and credit.
    fn posted_by(terms: &Terms, known: &[FactDraft], more: FactDraft) -> Vec<(A, i64, i64)> {
        let before = fold(terms, &numbered(0, known.iter().cloned()));
        let after = fold(terms, &numbered(0, known.iter().cloned().chain([more])));
        let postings = difference(&targets(&after), &targets(&before));
        let lines = postings.iter();
        lines
            .map(|line| (line.account, line.debit_minor, line.credit_minor))
            .collect()
    }

    /// The table of the module, for money that is the order's and for money that is not.
    #[test]
    fn each_fact_posts_its_row_of_the_table() {
        let mut ours = simple_order(100);
        let mut nobodys = simple_order(100);
        ours.fulfilment = crate::domain::order::FulfilmentStatus::Fulfilled;
        nobodys.payments[0].requested = eur(99);
        for (terms, income, given_back, lost_to) in [
            (&ours, A::Sales, A::Refunds, A::DisputeLosses),
            (&nobodys, A::Suspense, A::Suspense, A::Suspense),
        ] {
            let intent = |kind| Object::Intent(0).said(terms, kind);
            let refund = |kind| Object::Refund(0, OUTSIDE).said(terms, kind).of(eur(30));
            let dispute = |kind| Object::Dispute(0, 0).said(terms, kind);
            let captured = intent(FactKind::Captured).of(eur(90));
            let succeeded = refund(FactKind::RefundSucceeded);
            let taken = dispute(FactKind::DisputeWithdrawn).of(eur(50));
            let back = dispute(FactKind::DisputeReinstated).of(eur(50));
            let lost = dispute(FactKind::DisputeLost);
            let only = |draft: &FactDraft| vec![captured.clone(), draft.clone()];
            let clearing = A::ProviderClearing;
            for (known, more, expected) in [
                (
                    vec![],
                    captured.clone(),
                    vec![(clearing, 90, 0), (income, 0, 90)],
                ),
                (
                    vec![captured.clone()],
                    succeeded.clone(),
                    vec![(clearing, 0, 30), (given_back, 30, 0)],
                ),
                (
                    only(&succeeded),
                    refund(FactKind::RefundFailed),
                    vec![(clearing, 30, 0), (given_back, 0, 30)],
                ),
                (
                    vec![captured.clone()],
                    refund(FactKind::RefundPending),
                    vec![],
                ),
                (
                    vec![captured.clone()],
                    dispute(FactKind::DisputeOpened),
                    vec![],
                ),
                (
                    vec![captured.clone()],
                    taken.clone(),
                    vec![(clearing, 0, 50), (A::DisputesHeld, 50, 0)],
                ),
                (
                    only(&taken),
                    back,
                    vec![(clearing, 50, 0), (A::DisputesHeld, 0, 50)],
                ),
                (
                    only(&taken),
                    lost,
                    vec![(A::DisputesHeld, 0, 50), (lost_to, 50, 0)],
                ),
                (
                    vec![captured.clone()],
                    intent(FactKind::Fee).of(eur(3)),
                    vec![(clearing, 0, 3), (A::ProviderFees, 3, 0)],
                ),
                (vec![], intent(FactKind::Authorized).of(eur(90)), vec![]),
            ] {
                let (mut expected, what) = (expected, format!("{more:?} after {known:?}"));
                expected.sort_unstable();
                assert_eq!(posted_by(terms, &known, more), expected, "{what}");
            }
        }
    }

    #[test]
    fn accepting_money_moves_it_from_suspense_to_sales() {
        let mut terms = simple_order(100);
        terms.payments[0].requested = eur(99);
        let captured = Object::Intent(0)
            .said(&terms, FactKind::Captured)
            .of(eur(99));
        let accepted = Object::Intent(0).said(&terms, FactKind::PaymentAccepted);
        let lines = posted_by(&terms, &[captured], accepted);
        assert_eq!(lines, [(A::Sales, 0, 99), (A::Suspense, 99, 0)]);
    }

    #[test]
    fn a_refund_by_a_policy_leaves_the_money_in_suspense_and_one_by_staff_takes_it_in() {
        let mut terms = simple_order(100);
        let mut twin = terms.payments[0].clone();
        twin.id = crate::domain::settlement::laws::histories::id(1);
        twin.intent = "pi_1".to_owned();
        terms.payments.push(twin);
        let captured = |at| {
            Object::Intent(at)
                .said(&terms, FactKind::Captured)
                .of(eur(100))
        };
        let both = [captured(0), captured(1)];
        let refund = |which| {
            let refund = Object::Refund(1, which).said(&terms, FactKind::RefundSucceeded);
            posted_by(&terms, &both, refund.of(eur(100)))
        };
        assert_eq!(
            refund(BY_POLICY),
            [(A::ProviderClearing, 0, 100), (A::Suspense, 100, 0)]
        );
        assert!(refund(BY_STAFF).contains(&(A::Refunds, 100, 0)));
    }

    #[test]
    fn a_side_that_is_missing_is_seen() {
        let state = fold(&simple_order(100), &[]);
        let line = |account, debit_minor, credit_minor, code: &str| Posting {
            payment: state.payments[0].id,
            account,
            currency: Currency::from_code(code).expect("a known code"),
            debit_minor,
            credit_minor,
        };
        let debit = line(A::ProviderClearing, 5, 0, "EUR");
        assert!(is_balanced(&[]));
        assert!(is_balanced(&[debit, line(A::Sales, 0, 5, "EUR")]));
        assert!(!is_balanced(&[debit]));
        assert!(
            !is_balanced(&[debit, line(A::Sales, 0, 5, "USD")]),
            "each currency by itself"
        );
    }
}
