//! `till replay`: stored events of the provider are tried again, such as those an older version did not know.

use std::process::ExitCode;

use serde_json::json;

use super::output::print;
use super::storage::{closing, must_exist};
use super::{ReplayArgs, WrongUse, simulated};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, Texts};
use crate::domain::time::Timestamp;
use crate::service::replay::{ReplayOutcome, Replayed};
use crate::service::{ServiceError, Services};

pub(super) async fn replay(mut config: Config, args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let since = args.which.since.as_deref().map(|text| {
        Timestamp::parse(text).ok_or_else(|| {
            WrongUse(format!(
                "`{text}` is not a time; write it like 2026-01-31T12:00:00Z"
            ))
        })
    });
    let since = since.transpose()?;
    must_exist(&config)?;
    use_simulator_beside(&mut config).await;
    app::check(&config, false)?;
    let clock = Clock::system();
    let store = app::open_store(&config, clock.clone()).await?;
    let work = async {
        let services = app::build_services(&config, store.clone(), clock).await?;
        replay_all(&services, args.which.event, since, args.dry_run).await
    };
    let replayed = closing(&store, work).await?;
    let failed = count(&replayed, ReplayOutcome::Failed);
    let value = json!({
        "dry_run": args.dry_run,
        "applied": count(&replayed, ReplayOutcome::Applied),
        "quarantined": count(&replayed, ReplayOutcome::Quarantined),
        "unchanged": count(&replayed, ReplayOutcome::Unchanged),
        "failed": failed,
        "events": replayed,
    });
    print(args.json, &value, || lines(&replayed, args.dry_run))?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Replays one event, or all since a time.
async fn replay_all(
    services: &Services,
    event: Option<String>,
    since: Option<Timestamp>,
    dry_run: bool,
) -> anyhow::Result<Vec<Replayed>> {
    let mut replayed: Vec<Replayed> = Vec::new();
    match (event, since) {
        (Some(id), _) => match services.replay(&id, dry_run).await {
            Err(ServiceError::NotFound) => {
                return Err(WrongUse(format!(
                    "no event `{id}` is stored here; give our id (pev_…, as an order's timeline shows it) or the \
                     provider's"
                ))
                .into());
            }
            other => replayed.push(other?),
        },
        (None, Some(since)) => {
            let mut after = String::new();
            loop {
                let page = services.replay_since(since, &after, dry_run).await?;
                let Some(last) = page.last() else { break };
                after = last.id.to_string();
                replayed.extend(page);
            }
        }
        (None, None) => {}
    }
    Ok(replayed)
}

/// A server that brings its own simulator has no provider configured; then that simulator is the provider.
async fn use_simulator_beside(config: &mut Config) {
    if config.providers.stripe.api_key.is_some() {
        return;
    }
    let Some(url) = simulated::running_beside(config).await else {
        return;
    };
    let settings = simulated::settings(&url);
    let stripe = &mut config.providers.stripe;
    stripe.api_key = Some(settings.api_key);
    stripe.base_url = settings.base_url;
    stripe.webhook_secrets = Texts(settings.webhook_secrets);
}

fn count(replayed: &[Replayed], outcome: ReplayOutcome) -> usize {
    let these = replayed.iter().filter(|one| one.outcome == outcome);
    these.count()
}

fn lines(replayed: &[Replayed], dry_run: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for one in replayed {
        let outcome = match (one.outcome, dry_run) {
            (ReplayOutcome::Applied, false) => "applied",
            (ReplayOutcome::Applied, true) => "would be applied",
            (ReplayOutcome::Quarantined, false) => "quarantined",
            (ReplayOutcome::Quarantined, true) => "would be quarantined",
            (ReplayOutcome::Unchanged, _) => "unchanged",
            (ReplayOutcome::Failed, _) => "failed",
        };
        let note = one.note.as_ref().map(|note| format!(" ({note})"));
        lines.push(format!(
            "{}  {}  {}: was {}, {outcome}{}",
            one.id,
            one.event_id,
            one.kind,
            one.verdict,
            note.unwrap_or_default()
        ));
        if one.outcome != ReplayOutcome::Applied {
            continue;
        }
        for fact in &one.facts {
            lines.push(format!("    fact   {fact}"));
        }
        if let (Some(order), Some(before), Some(after)) = (one.order_id, &one.before, &one.after) {
            let change = |from: &str, to: &str| match from == to {
                true => from.to_owned(),
                false => format!("{from} → {to}"),
            };
            let none = "none".to_owned();
            lines.push(format!(
                "    order  {order}: {}, {}, review {}",
                change(&before.status, &after.status),
                change(&before.payment_status, &after.payment_status),
                change(
                    before.review.as_ref().unwrap_or(&none),
                    after.review.as_ref().unwrap_or(&none)
                ),
            ));
        }
    }
    lines.push(format!(
        "{} {}: {} applied, {} quarantined, {} unchanged, {} failed.{}",
        replayed.len(),
        if replayed.len() == 1 {
            "event"
        } else {
            "events"
        },
        count(replayed, ReplayOutcome::Applied),
        count(replayed, ReplayOutcome::Quarantined),
        count(replayed, ReplayOutcome::Unchanged),
        count(replayed, ReplayOutcome::Failed),
        if dry_run { " Nothing was written." } else { "" }
    ));
    lines.join("\n")
}
