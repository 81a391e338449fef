//! An order's timeline as the page shows it.

use std::collections::{HashMap, HashSet};

use crate::domain::chapters::{Step, chapters, has_failed};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::domain::timeline::{MAX_ENTRIES, TimelineEntry, page};
use crate::service::{ServiceError, Services};
use crate::staff::parts::money_text;
use crate::staff::words::{ledger, timeline as words};

/// A chapter: what one cause brought about.
pub struct ChapterView {
    /// What it is about.
    pub title: String,
    /// When it began.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Option<String>,
    /// The request it happened in.
    pub request: Option<String>,
    /// Whether something in it did not work.
    pub failed: bool,
    /// What happened.
    pub steps: Vec<StepView>,
}

/// An entry of a chapter.
pub struct StepView {
    /// The entry's id, by which the page can be asked for what follows.
    pub id: String,
    /// What happened, in words.
    pub text: String,
    /// How many causes stand above it.
    pub depth: u8,
    /// What did not work about it.
    pub trouble: Option<&'static str>,
    /// The amount.
    pub amount: Option<Money>,
    /// How long after the chapter's beginning.
    pub later: Option<String>,
    /// How a question was closed, and when.
    pub ended: Option<(String, Timestamp)>,
    /// More about it, in a few words each.
    pub notes: Vec<String>,
    /// The entry itself.
    pub entry: String,
    /// What was sent or received, redacted.
    pub body: Option<String>,
}

/// The names of the staff who did something in a timeline, by their ids.
///
/// # Errors
/// The store's.
pub async fn names_of(
    services: &Services,
    timeline: &[TimelineEntry],
) -> Result<HashMap<String, String>, ServiceError> {
    let mut names = HashMap::new();
    let of = |entry: &TimelineEntry| [entry.actor.clone(), entry.details.ended_by.clone()];
    let actors: HashSet<String> = timeline.iter().flat_map(of).flatten().collect();
    for actor in actors {
        if let Some(name) = services.staff_name(&actor).await? {
            names.insert(actor, name);
        }
    }
    Ok(names)
}

/// The chapters after the entry `after`, and the last entry when there are more; nothing when there is no such entry.
#[must_use]
pub fn told(
    timeline: Vec<TimelineEntry>,
    after: Option<&str>,
    raw: &mut HashMap<String, String>,
    names: &HashMap<String, String>,
) -> Option<(Vec<ChapterView>, Option<String>)> {
    let answers = answers(&timeline);
    let (entries, more) = page(timeline, after, MAX_ENTRIES)?;
    let last = entries.last().map(|entry| entry.id.clone());
    let views = chapters(entries).into_iter().filter_map(|chapter| {
        let head = chapter.head()?;
        Some(ChapterView {
            title: words::chapter(head),
            at: chapter.began_at,
            actor: chapter.actor.as_deref().map(|actor| named(actor, names)),
            request: chapter.request_id.clone(),
            failed: chapter.failed(),
            steps: chapter
                .steps
                .iter()
                .map(|step| StepView {
                    ended: ended(&step.entry, &answers, names),
                    ..step_view(step, chapter.began_at, raw)
                })
                .collect(),
        })
    });
    Some((views.collect(), last.filter(|_| more)))
}

fn named(actor: &str, names: &HashMap<String, String>) -> String {
    names
        .get(actor)
        .cloned()
        .unwrap_or_else(|| words::actor(actor))
}

/// The last answer that somebody gave to each question: who, and what.
fn answers(timeline: &[TimelineEntry]) -> HashMap<String, (String, String)> {
    let decisions = timeline.iter().filter(|entry| entry.object == "decision");
    let answers = decisions.filter_map(|entry| {
        let question = entry.details.subject_id.clone()?;
        Some((question, (entry.actor.clone()?, entry.kind.clone())))
    });
    answers.collect()
}

/// How a question was closed, and when.
fn ended(
    entry: &TimelineEntry,
    answers: &HashMap<String, (String, String)>,
    names: &HashMap<String, String>,
) -> Option<(String, Timestamp)> {
    let at = entry
        .details
        .ended_at
        .filter(|_| entry.object == "review")?;
    let by = entry.details.ended_by.as_deref()?;
    let answer = answers.get(&entry.id).filter(|(actor, _)| actor == by);
    let answer = answer.and_then(|(_, answer)| answer.parse().ok());
    Some((words::closed(&named(by, names), answer), at))
}

fn step_view(step: &Step, began: Timestamp, raw: &mut HashMap<String, String>) -> StepView {
    let entry = &step.entry;
    let text = serde_json::to_string_pretty(entry);
    let trouble = has_failed(entry).then_some(match entry.object {
        "review" | "provider_event" => words::LOOK,
        _ if entry.kind.starts_with("dispute") => words::LOOK,
        _ => words::FAILED,
    });
    StepView {
        id: entry.id.clone(),
        text: words::entry(entry),
        depth: step.depth,
        trouble,
        amount: entry.details.amount,
        later: words::later(entry.at.since(began)),
        ended: None,
        notes: notes(entry),
        entry: text.expect("an entry's fields always serialise"),
        body: raw.remove(&entry.id),
    }
}

fn notes(entry: &TimelineEntry) -> Vec<String> {
    let details = &entry.details;
    let mut notes = Vec::new();
    notes.extend(words::states(entry));
    let ids = [&details.provider_id, &details.provider_request_id];
    notes.extend(ids.into_iter().flatten().cloned());
    notes.extend(details.http_status.map(|status| format!("HTTP {status}")));
    notes.extend(details.duration_ms.map(words::took));
    notes.extend(details.message.clone());
    notes.extend(details.entries.iter().map(|posting| {
        let (side, amount) = match posting.debit.is_zero() {
            true => (words::CREDIT, posting.credit),
            false => (words::DEBIT, posting.debit),
        };
        let account = ledger::account(posting.account);
        format!("{account} {side} {}", money_text(&amount))
    }));
    notes
}
