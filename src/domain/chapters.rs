//! An order's timeline as people read it: in chapters, each with what one cause brought about: a request, what it
//! called, what came back, what changed.

use std::collections::HashMap;

use super::call::CallStatus;
use super::time::{SECOND_MS, Timestamp};
use super::timeline::TimelineEntry;

/// What is written in one transaction has times that differ by a little.
const AT_ONCE_MS: i64 = 2 * SECOND_MS;
/// How deep causes are shown as steps; deeper ones stand beside each other.
const MAX_DEPTH: u8 = 6;

/// What one cause brought about, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// The request it happened in, when there was one.
    pub request_id: Option<String>,
    /// Who caused it.
    pub actor: Option<String>,
    /// When it began.
    pub began_at: Timestamp,
    /// Its entries, causes before effects; never empty.
    pub steps: Vec<Step>,
}

/// An entry, and how many causes it has in its chapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How many of its causes stand above it.
    pub depth: u8,
    /// What happened.
    pub entry: TimelineEntry,
}

impl Chapter {
    fn begin(entry: TimelineEntry) -> Chapter {
        Chapter {
            request_id: entry.request_id.clone(),
            actor: entry.actor.clone(),
            began_at: entry.at,
            steps: vec![Step { depth: 0, entry }],
        }
    }

    /// Its first entry, which says what it is about.
    #[must_use]
    pub fn head(&self) -> Option<&TimelineEntry> {
        self.steps.first().map(|step| &step.entry)
    }

    /// Whether something in it did not work in the end: of a try that failed, its call says what became of it.
    #[must_use]
    pub fn failed(&self) -> bool {
        let mut entries = self.steps.iter().map(|step| &step.entry);
        entries.any(|entry| entry.object != "provider_attempt" && has_failed(entry))
    }
}

/// Whether an entry tells of something that did not work, or that people must look at.
#[must_use]
pub fn has_failed(entry: &TimelineEntry) -> bool {
    let details = &entry.details;
    let is = |text: &Option<String>, words: &[&str]| {
        text.as_deref().is_some_and(|text| words.contains(&text))
    };
    match entry.object {
        "provider_attempt" => !["succeeded", "sending"].contains(&entry.kind.as_str()),
        "provider_call" => is(
            &details.status,
            &[CallStatus::Declined.as_str(), CallStatus::Unknown.as_str()],
        ),
        "provider_event" => is(&details.verdict, &["quarantined", "dead"]),
        "checkout_session" | "refund" => is(&details.status, &["failed"]),
        "review" => is(&details.status, &["open"]),
        "fact" => [
            "declined",
            "failed",
            "rejected",
            "refund_failed",
            "refund_cancelled",
            "dispute_opened",
            "dispute_lost",
            "dispute_withdrawn",
        ]
        .contains(&entry.kind.as_str()),
        _ => false,
    }
}

/// Where an entry stands: its chapter and its depth there.
type Place = (usize, u8);

/// Tells a timeline, in which causes stand before effects, in chapters. Each entry is told once.
#[must_use]
pub fn chapters(timeline: Vec<TimelineEntry>) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut places: HashMap<String, Place> = HashMap::new();
    // The latest chapter of each request.
    let mut requests: HashMap<String, usize> = HashMap::new();
    for entry in timeline {
        let id = entry.id.clone();
        let place = place_of(&entry, &chapters, &places, &requests);
        let (at, depth) = place.unwrap_or((chapters.len(), 0));
        match chapters.get_mut(at) {
            Some(chapter) => {
                if chapter.request_id.is_none() {
                    chapter.request_id.clone_from(&entry.request_id);
                    chapter.actor = chapter.actor.take().or_else(|| entry.actor.clone());
                }
                chapter.steps.push(Step { depth, entry });
            }
            None => chapters.push(Chapter::begin(entry)),
        }
        if let Some(request) = chapters.get(at).and_then(|one| one.request_id.clone()) {
            requests.insert(request, at);
        }
        places.insert(id, (at, depth));
    }
    chapters
}

/// Where an entry belongs; none when a chapter begins with it.
fn place_of(
    entry: &TimelineEntry,
    chapters: &[Chapter],
    places: &HashMap<String, Place>,
    requests: &HashMap<String, usize>,
) -> Option<Place> {
    let cause = entry.cause.as_deref();
    let of_request = |request: &str| requests.get(request).map(|at| (*at, 0));
    // An answer of the staff is a cause of its own, not an effect of the question it answers.
    if entry.object == "decision" {
        return entry.request_id.as_deref().and_then(of_request);
    }
    let parent = cause.and_then(|cause| places.get(cause)).copied();
    let Some((at, depth)) = parent else {
        // What a request did without an entry of its own names the request.
        return cause
            .and_then(of_request)
            .or_else(|| entry.request_id.as_deref().and_then(of_request));
    };
    let chapter = chapters.get(at)?;
    let other_request = match (&entry.request_id, &chapter.request_id) {
        (Some(own), Some(other)) => own != other,
        _ => false,
    };
    if other_request {
        let own = entry.request_id.as_deref().and_then(of_request);
        return own.or_else(|| just_now(entry, chapters));
    }
    // A poll or a decision is about the object it names, not an effect of it.
    let source = entry.details.source.as_deref();
    if entry.object == "fact" && matches!(source, Some("poll" | "reconcile" | "decision")) {
        return just_now(entry, chapters);
    }
    Some((at, depth.saturating_add(1).min(MAX_DEPTH)))
}

/// The last chapter, when it happened at the same time and is not another request's.
fn just_now(entry: &TimelineEntry, chapters: &[Chapter]) -> Option<Place> {
    let last = chapters.len().checked_sub(1)?;
    let chapter = chapters.get(last)?;
    let latest = chapter.steps.last()?.entry.at;
    let near = entry.at.since(latest).saturating_abs() <= AT_ONCE_MS;
    let same = match (&entry.request_id, &chapter.request_id) {
        (Some(own), Some(other)) => own == other,
        _ => true,
    };
    let told = chapter.head()?.object != "provider_event";
    (near && same && told).then_some((last, 0))
}

#[cfg(test)]
mod tests {
    //! What one cause brought about stands together, and nothing is lost.

    use super::*;
    use crate::domain::timeline::{TimelineDetails, arrange};

    fn entry(object: &'static str, id: &str, at: i64, cause: &str, request: &str) -> TimelineEntry {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        TimelineEntry {
            id: id.to_owned(),
            object,
            kind: "x".to_owned(),
            at: Timestamp::from_ms(at),
            cause: text(cause),
            request_id: text(request),
            actor: None,
            details: TimelineDetails::default(),
        }
    }

    fn polled(mut entry: TimelineEntry) -> TimelineEntry {
        entry.details.source = Some("poll".to_owned());
        entry
    }

    fn told(chapters: &[Chapter]) -> Vec<Vec<(&str, u8)>> {
        chapters
            .iter()
            .map(|chapter| {
                let steps = chapter.steps.iter();
                steps
                    .map(|step| (step.entry.id.as_str(), step.depth))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_chapter_holds_what_its_cause_brought_about() {
        let timeline = arrange(vec![
            entry("order", "ord_1", 1_000, "", "R1"),
            entry("event", "evt_1", 1_000, "ord_1", "R1"),
            entry("checkout_session", "cs_1", 50_000, "ord_1", "R2"),
            entry("provider_call", "pcall_1", 50_000, "R2", "R2"),
            entry("provider_attempt", "patt_1", 50_010, "pcall_1", ""),
            entry("fact", "fact_1", 50_200, "pcall_1", ""),
            entry("provider_event", "pev_1", 90_000, "", "R3"),
            entry("fact", "fact_2", 90_001, "pev_1", ""),
            entry("ledger_transaction", "ltx_1", 90_001, "fact_2", ""),
            entry("event", "evt_2", 90_002, "pev_1", "R3"),
            polled(entry("fact", "fact_3", 200_000, "cs_1", "")),
            entry("ledger_transaction", "ltx_2", 200_001, "fact_3", ""),
            entry("review", "rev_1", 300_000, "", ""),
            entry("provider_call", "pcall_2", 400_000, "R4", "R4"),
            entry("refund", "re_1", 400_000, "R4", "R4"),
        ]);
        let chapters = chapters(timeline);
        assert_eq!(
            told(&chapters),
            [
                vec![("ord_1", 0), ("evt_1", 1)],
                vec![("cs_1", 0), ("pcall_1", 0), ("patt_1", 1), ("fact_1", 1)],
                vec![("pev_1", 0), ("fact_2", 1), ("ltx_1", 2), ("evt_2", 1)],
                vec![("fact_3", 0), ("ltx_2", 1)],
                vec![("rev_1", 0)],
                vec![("re_1", 0), ("pcall_2", 0)],
            ]
        );
        assert_eq!(chapters[1].request_id.as_deref(), Some("R2"));
    }

    #[test]
    fn a_cancellation_is_one_chapter_with_its_decision() {
        let mut decision = entry("fact", "fact_1", 60_300, "ord_1", "");
        decision.details.source = Some("decision".to_owned());
        let timeline = vec![
            entry("order", "ord_1", 1_000, "", "R1"),
            entry("provider_call", "pcall_1", 60_000, "R5", "R5"),
            entry("provider_attempt", "patt_1", 60_001, "pcall_1", ""),
            decision,
            entry("event", "evt_9", 60_301, "ord_1", "R5"),
        ];
        assert_eq!(
            told(&chapters(timeline))[1],
            [("pcall_1", 0), ("patt_1", 1), ("fact_1", 0), ("evt_9", 0)]
        );
    }

    #[test]
    fn an_answer_is_no_part_of_its_question() {
        let timeline = vec![
            entry("order", "ord_1", 1_000, "", "R1"),
            entry("review", "rev_1", 2_000, "", ""),
            entry("decision", "dec_1", 60_000, "rev_1", "R5"),
            entry("refund", "re_1", 60_000, "dec_1", "R5"),
        ];
        let chapters = chapters(timeline);
        assert_eq!(
            told(&chapters)[1..],
            [vec![("rev_1", 0)], vec![("dec_1", 0), ("re_1", 1)]]
        );
        assert_eq!(chapters[1].request_id, None);
    }

    #[test]
    fn every_entry_is_told_once_and_depth_is_bounded() {
        let mut timeline = vec![entry("fact", "fact_0", 0, "", "")];
        for at in 1..40 {
            let cause = format!("fact_{}", at - 1);
            timeline.push(entry("fact", &format!("fact_{at}"), at, &cause, ""));
        }
        let chapters = chapters(timeline);
        assert_eq!(chapters.len(), 1);
        assert_eq!(chapters[0].steps.len(), 40);
        assert!(chapters[0].steps.iter().all(|step| step.depth <= MAX_DEPTH));
    }

    #[test]
    fn failures_are_known() {
        let with = |object, kind: &str, status: &str| {
            let mut one = entry(object, "x", 0, "", "");
            one.kind = kind.to_owned();
            one.details.status = Some(status.to_owned());
            one.details.verdict = Some(status.to_owned());
            one
        };
        for (object, kind, status, failed) in [
            ("provider_attempt", "server_error", "", true),
            ("provider_attempt", "succeeded", "", false),
            ("provider_call", "refund_create", "declined", true),
            ("provider_call", "refund_create", "succeeded", false),
            ("provider_event", "x", "quarantined", true),
            ("provider_event", "x", "applied", false),
            ("fact", "declined", "", true),
            ("fact", "captured", "", false),
            ("review", "dispute", "open", true),
            ("review", "dispute", "resolved", false),
        ] {
            assert_eq!(
                has_failed(&with(object, kind, status)),
                failed,
                "{object} {kind} {status}"
            );
        }
    }
}
