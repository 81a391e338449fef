//! An order's timeline: everything that happened to it, what caused what, in one list. Without personal data.

use std::collections::HashMap;

use serde::Serialize;

use super::currency::Currency;
use super::ids::PaymentId;
use super::ledger::LedgerAccountName;
use super::money::Money;
use super::time::Timestamp;

/// The most entries of one answer.
pub const MAX_ENTRIES: usize = 1_000;

/// What happened to an order, in the order it happened.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Timeline {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: &'static str,
    /// The entries, oldest first; what caused another stands before it.
    #[schema(max_items = 1000)]
    pub data: Vec<TimelineEntry>,
    /// Whether there are more; read on with `starting_after` the last entry's id.
    pub has_more: bool,
    /// The path of the list.
    pub url: String,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TimelineEntry {
    /// The id of what it is about, unique in the list.
    #[schema(example = "fact_01kq8rm5ahf2aaemq4p7v9w0xj")]
    pub id: String,
    /// What it is: `order` and `checkout_session` (asked for by a request), `refund` (asked for by a request or a
    /// policy, or seen at the provider), `provider_call` (something that changes the provider's state),
    /// `provider_attempt` (one try of it), `provider_event` (a webhook), `fact`, `review`, `decision` (what a member
    /// of staff decided of a review), `note` (by staff; without its text), `ledger_transaction`, or `event` (what other
    /// programs are told).
    pub object: &'static str,
    /// What happened: `placed` or `requested`; `seen` of a refund somebody made at the provider; the kind of call or
    /// fact; how a try ended; the provider's or our type of event; the reason of a review; how it was answered;
    /// `added`; `posted`.
    #[serde(rename = "type")]
    #[schema(example = "captured")]
    pub kind: String,
    /// When it happened, or began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The id of what caused it: mostly another entry, else a request.
    pub cause: Option<String>,
    /// The request to Till it happened in, as in the `Request-Id` header.
    pub request_id: Option<String>,
    /// Who did it: the id of a key or a member of staff, `system` for Till itself.
    pub actor: Option<String>,
    /// More about it.
    pub details: TimelineDetails,
}

/// More about an entry. What is not known, or does not go with its kind, is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TimelineDetails {
    /// Sessions, refunds, calls and reviews: where it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Calls, reviews and decisions: the id of what it is about. Refunds: the payment it goes back from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_id: Option<String>,
    /// Sessions, refunds, webhooks and facts: the provider's id of the object or the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Tries: the provider's id of the request, for its support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<String>,
    /// Tries: which one, from 1. Decisions: which time of being open the review was answered at, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Tries: how long the provider took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Tries: the provider's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<i64>,
    /// Tries: in which words the provider refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Calls and webhooks: how often it was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i64>,
    /// Webhooks: `applied`, `pending`, `quarantined`, `foreign`, `ignored` or `dead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Webhooks: why they were not applied. Refunds: the reason given for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Facts: how Till learned it: `webhook`, `poll`, `call`, `reconcile` or `decision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Facts and refunds: a short code that explains it, such as why a card was declined or a refund failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Facts, sessions and refunds: the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::forms::Amount>)]
    pub amount: Option<Money>,
    /// Facts, sessions and refunds: its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Events: the place among the order's events, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// Calls, webhooks and reviews: when it was done with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Reviews: who closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// Ledger transactions: what was posted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<TimelinePosting>,
}

/// One side of a ledger transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TimelinePosting {
    /// The account.
    pub account: LedgerAccountName,
    /// What it is debited with.
    #[schema(value_type = super::forms::Amount)]
    pub debit: Money,
    /// What it is credited with.
    #[schema(value_type = super::forms::Amount)]
    pub credit: Money,
    /// The currency of both.
    pub currency: Currency,
    /// The payment it is about.
    pub payment_id: PaymentId,
}

/// Puts entries in the order they are told: causes before effects; else by time, kind and id. The result does not
/// depend on the order they were read in.
#[must_use]
pub fn arrange(mut entries: Vec<TimelineEntry>) -> Vec<TimelineEntry> {
    entries.sort_by(|a, b| {
        let key = |entry: &TimelineEntry| (entry.at, rank(entry));
        key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
    });
    causes_first(entries)
}

/// Draws causes before their effects. Neither kinds nor times can say it: a call can follow from a fact and a fact
/// from a call, and what one transaction writes has times that differ by a little, either way.
fn causes_first(sorted: Vec<TimelineEntry>) -> Vec<TimelineEntry> {
    let at = sorted.iter().enumerate();
    let places: HashMap<String, usize> = at.map(|(at, entry)| (entry.id.clone(), at)).collect();
    let mut waiting: Vec<Option<TimelineEntry>> = sorted.into_iter().map(Some).collect();
    let mut told = Vec::with_capacity(waiting.len());
    for place in 0..waiting.len() {
        let mut chain = Vec::new();
        let mut next = Some(place);
        while let Some((place, entry)) = next.and_then(|at| Some((at, waiting.get(at)?.as_ref()?)))
        {
            // Nothing causes itself, whatever the rows say.
            if chain.contains(&place) {
                break;
            }
            chain.push(place);
            next = entry.cause.as_ref().and_then(|id| places.get(id).copied());
        }
        let chain = chain.into_iter().rev();
        told.extend(chain.filter_map(|place| waiting.get_mut(place).and_then(Option::take)));
    }
    told
}

/// What stands first of what happened in one millisecond, where neither caused the other.
fn rank(entry: &TimelineEntry) -> u8 {
    match entry.object {
        "order" => 0,
        "checkout_session" => 1,
        // What a request asked for; what follows from what was learned stands behind it.
        "refund" if !follows(entry) => 2,
        "provider_call" if !follows(entry) => 3,
        "provider_attempt" => 4,
        "provider_event" => 5,
        "fact" => 6,
        "ledger_transaction" => 7,
        "review" => 8,
        "decision" => 9,
        "event" => 10,
        "refund" => 11,
        "note" => 12,
        _ => 13,
    }
}

/// Whether a call or a refund was made because something was learned, not because a request asked for it.
fn follows(entry: &TimelineEntry) -> bool {
    let cause = entry.cause.as_deref().unwrap_or_default();
    let learned = [
        "pev_", "fact_", "cs_", "pcall_", "pay_", "dp_", "re_", "ord_", "dec_",
    ];
    learned.iter().any(|prefix| cause.starts_with(prefix))
}

/// The entries after `after`, at most so many and [`MAX_ENTRIES`], and whether there are more; nothing when there is no
/// such entry.
#[must_use]
pub fn page(
    entries: Vec<TimelineEntry>,
    after: Option<&str>,
    most: usize,
) -> Option<(Vec<TimelineEntry>, bool)> {
    let skip = match after {
        None => 0,
        Some(id) => entries
            .iter()
            .position(|entry| entry.id == id)?
            .saturating_add(1),
    };
    let most = most.min(MAX_ENTRIES);
    let has_more = entries.len().saturating_sub(skip) > most;
    let page = entries.into_iter().skip(skip).take(most);
    Some((page.collect(), has_more))
}

#[cfg(test)]
mod tests {
    //! The order of entries, and that pages meet each one once.

    use super::*;

    fn entry(object: &'static str, id: &str, at: i64, cause: Option<&str>) -> TimelineEntry {
        TimelineEntry {
            id: id.to_owned(),
            object,
            kind: "x".to_owned(),
            at: Timestamp::from_ms(at),
            cause: cause.map(str::to_owned),
            request_id: None,
            actor: None,
            details: TimelineDetails::default(),
        }
    }

    #[test]
    fn causes_stand_before_effects_however_they_are_read() {
        let wanted = vec![
            entry("order", "ord_1", 1, None),
            entry("checkout_session", "cs_1", 5, None),
            entry("provider_call", "pcall_1", 5, Some("req_1")),
            entry("provider_attempt", "patt_1", 5, Some("pcall_1")),
            entry("provider_event", "pev_1", 7, None),
            entry("fact", "fact_1", 7, Some("pev_1")),
            entry("fact", "fact_2", 7, Some("pev_1")),
            entry("ledger_transaction", "ltx_1", 7, Some("fact_2")),
            entry("event", "evt_1", 7, Some("pev_1")),
            entry("provider_call", "pcall_2", 7, Some("pev_1")),
            entry("refund", "re_1", 8, Some("req_2")),
            entry("provider_call", "pcall_3", 8, Some("req_2")),
            entry("fact", "fact_4", 8, Some("pcall_3")),
            entry("refund", "re_2", 8, Some("fact_4")),
            entry("provider_call", "pcall_4", 8, Some("fact_4")),
            entry("fact", "fact_5", 9, Some("ord_1")),
            entry("event", "evt_2", 9, Some("ord_1")),
            entry("provider_call", "pcall_5", 9, Some("ord_1")),
        ];
        for turn in 0..wanted.len() {
            let mut read = wanted.clone();
            read.rotate_left(turn);
            read.reverse();
            assert_eq!(arrange(read), wanted);
        }
    }

    /// Kinds and times would tell these the other way round.
    #[test]
    fn a_cause_stands_first_whatever_its_kind_and_time() {
        let wanted = vec![
            entry("event", "evt_1", 5, None),
            entry("provider_call", "pcall_9", 5, Some("evt_1")),
            entry("provider_attempt", "patt_1", 5, Some("pcall_9")),
            entry("fact", "fact_1", 5, Some("patt_1")),
            entry("checkout_session", "cs_1", 5, Some("fact_1")),
            // Written a little later than what it caused.
            entry("fact", "fact_2", 8, None),
            entry("refund", "re_1", 7, Some("fact_2")),
            entry("event", "evt_2", 8, None),
        ];
        for turn in 0..wanted.len() {
            let mut read = wanted.clone();
            read.rotate_left(turn);
            assert_eq!(arrange(read), wanted);
        }
    }

    #[test]
    fn entries_that_name_each_other_are_told_once() {
        let read = vec![
            entry("fact", "fact_1", 5, Some("fact_2")),
            entry("fact", "fact_2", 5, Some("fact_1")),
            entry("fact", "fact_3", 5, Some("fact_3")),
        ];
        let mut told: Vec<String> = arrange(read).into_iter().map(|entry| entry.id).collect();
        told.sort();
        assert_eq!(told, ["fact_1", "fact_2", "fact_3"]);
    }

    #[test]
    fn pages_meet_every_entry_once() {
        let all: Vec<TimelineEntry> = (0..2_345)
            .map(|at| entry("fact", &format!("fact_{at:05}"), at, None))
            .collect();
        for most in [usize::MAX, 100] {
            let (mut seen, mut after) = (Vec::new(), None::<String>);
            loop {
                let (page, more) = page(all.clone(), after.as_deref(), most).expect("a page");
                assert!(page.len() <= MAX_ENTRIES.min(most));
                after = page.last().map(|entry| entry.id.clone());
                seen.extend(page);
                if !more {
                    break;
                }
            }
            assert_eq!(seen, all);
        }
        assert!(page(all, Some("fact_x"), 1).is_none());
    }
}
