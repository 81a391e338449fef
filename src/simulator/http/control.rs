//! `/_simulator`: faults, clock, journal and settings.
use std::sync::Arc;

use rocket::data::{FromData, Outcome as DataOutcome, ToByteUnit};
use rocket::http::Status;
use rocket::request::Request;
use rocket::{Data, Route, State, delete, get, post, routes};
use serde_json::{Value, json};

use super::reply::Reply;
use crate::simulator::clock::rfc3339;
use crate::simulator::failure::Failure;
use crate::simulator::journal::{Entry, EntryKind};
use crate::simulator::ops;
use crate::simulator::shared::Shared;
use crate::simulator::world::World;

/// A year: more would be a slip of the units.
const ADVANCE_LIMIT_SECONDS: u64 = 366 * 86_400;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![
        health,
        faults,
        set_faults,
        clear_faults,
        clock,
        advance,
        journal,
        clear_journal,
        webhook,
        set_webhook,
        set_settings,
        settings,
        resend,
        reset,
        redirected,
        redirected_post
    ]
}

/// The world, shared.
pub type Sharing = State<Arc<Shared>>;

/// A JSON body; an empty one is an empty object.
pub struct Input(pub Value);

#[rocket::async_trait]
impl<'r> FromData<'r> for Input {
    type Error = ();

    async fn from_data(_: &'r Request<'_>, data: Data<'r>) -> DataOutcome<'r, Input, ()> {
        let body = data.open(4.mebibytes()).into_bytes().await;
        let Some(body) = body.ok().filter(|body| body.is_complete()) else {
            return DataOutcome::Error((Status::PayloadTooLarge, ()));
        };
        if body.is_empty() {
            return DataOutcome::Success(Input(json!({})));
        }
        match serde_json::from_slice(&body) {
            Ok(value) => DataOutcome::Success(Input(value)),
            Err(_) => DataOutcome::Error((Status::BadRequest, ())),
        }
    }
}

/// A refusal of a control.
pub fn refusal(message: impl Into<String>) -> Reply {
    Reply::json(400, &Failure::malformed(message).body("none"))
}

#[get("/health")]
fn health() -> Reply {
    Reply::json(200, &json!({ "status": "ok" }))
}

#[get("/faults")]
fn faults(shared: &Sharing) -> Reply {
    Reply::json(200, &shared.with(|world| list(world.faults.json())))
}

#[post("/faults", data = "<input>")]
fn set_faults(input: Input, shared: &Sharing) -> Reply {
    let added = shared.with(|world| {
        world
            .faults
            .add(input.0, &ops::NAMES)
            .map(|()| list(world.faults.json()))
    });
    added.map_or_else(refusal, |script| Reply::json(200, &script))
}

#[delete("/faults")]
fn clear_faults(shared: &Sharing) -> Reply {
    shared.with(|world| world.faults.clear());
    Reply::json(200, &list(vec![]))
}

fn list(data: Vec<Value>) -> Value {
    json!({ "object": "list", "data": data })
}

#[get("/clock")]
fn clock(shared: &Sharing) -> Reply {
    Reply::json(200, &shared.with(|world| clock_json(world)))
}

fn clock_json(world: &World) -> Value {
    let (now, offset) = (world.clock.now(), world.clock.offset_ms / 1000);
    json!({ "now": now, "at": rfc3339(world.clock.now_ms()), "offset_seconds": offset })
}

#[post("/clock/advance", data = "<input>")]
fn advance(input: Input, shared: &Sharing) -> Reply {
    let seconds = input.0["seconds"]
        .as_u64()
        .filter(|seconds| *seconds <= ADVANCE_LIMIT_SECONDS);
    let Some(seconds) = seconds else {
        return refusal("`seconds` is a whole number of seconds, at most a year");
    };
    shared.with(|world| {
        world.clock.advance(seconds);
        world.meta.offset_ms = world.clock.offset_ms;
        world.keep_meta();
    });
    // What became due happens on the next look at the world, which is this one.
    Reply::json(200, &shared.with(|world| clock_json(world)))
}

#[get("/journal?<kind>&<since>")]
fn journal(kind: Option<&str>, since: Option<u64>, shared: &Sharing) -> Reply {
    let entries: Vec<Entry> = shared.with(|world| {
        world
            .journal
            .since(since.unwrap_or(0), kind)
            .cloned()
            .collect()
    });
    Reply::json(200, &json!({ "object": "list", "data": entries }))
}

#[delete("/journal")]
fn clear_journal(shared: &Sharing) -> Reply {
    shared.with(|world| world.journal.clear());
    Reply::json(200, &list(vec![]))
}

#[get("/webhook")]
fn webhook(shared: &Sharing) -> Reply {
    Reply::json(200, &shared.with(|world| webhook_json(world)))
}

fn webhook_json(world: &World) -> Value {
    let meta = &world.meta;
    json!({
        "url": meta.webhook_url, "enabled_events": meta.enabled_events,
        "secret": meta.webhook_secret, "old_secret": meta.old_secret
    })
}

#[post("/webhook", data = "<input>")]
fn set_webhook(input: Input, shared: &Sharing) -> Reply {
    let url = match &input.0["url"] {
        Value::Null => None,
        Value::String(url) if reqwest::Url::parse(url).is_ok() => Some(url.clone()),
        _ => return refusal("`url` is an absolute address or null"),
    };
    let enabled =
        match serde_json::from_value::<Option<Vec<String>>>(input.0["enabled_events"].clone()) {
            Ok(enabled) => enabled,
            Err(_) => return refusal("`enabled_events` is a list of event types, or [\"*\"]"),
        };
    let secret = input.0["secret"].as_str().map(str::to_owned);
    let answer = shared.with(|world| {
        if input.0.get("url").is_some() {
            world.meta.webhook_url = url;
        }
        if let Some(enabled) = enabled {
            world.meta.enabled_events = enabled;
        }
        if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
            world.set_secret(secret);
        }
        world.keep_meta();
        webhook_json(world)
    });
    Reply::json(200, &answer)
}

#[get("/settings")]
fn settings(shared: &Sharing) -> Reply {
    Reply::json(200, &shared.with(|world| settings_json(world)))
}

fn settings_json(world: &World) -> Value {
    json!({ "refunds": if world.meta.refunds_pending { "pending" } else { "succeeded" } })
}

#[post("/settings", data = "<input>")]
fn set_settings(input: Input, shared: &Sharing) -> Reply {
    let pending = match input.0["refunds"].as_str() {
        Some("pending") => true,
        Some("succeeded") => false,
        _ => return refusal("`refunds` is \"succeeded\" or \"pending\""),
    };
    let answer = shared.with(|world| {
        world.meta.refunds_pending = pending;
        world.keep_meta();
        settings_json(world)
    });
    Reply::json(200, &answer)
}

#[post("/events/<id>/resend")]
fn resend(id: &str, shared: &Sharing) -> Reply {
    let result = shared.with(|world| {
        let event = world.events.find(id, "id")?.clone();
        let now = world.clock.now_ms();
        world.deliver(&event.id, now, false);
        Ok(event.json())
    });
    result.map_or_else(
        |failure: Failure| Reply::json(failure.status, &failure.body("none")),
        |event| Reply::json(200, &event),
    )
}

#[post("/reset")]
fn reset(shared: &Sharing) -> Reply {
    match shared.with(World::reset) {
        Ok(()) => Reply::json(200, &json!({ "status": "ok" })),
        Err(error) => Reply::json(500, &Failure::malformed(error.to_string()).body("none")),
    }
}

/// Where the fault `redirect` points: whoever comes here has followed it, and the journal tells.
#[get("/redirected")]
fn redirected(shared: &Sharing) -> Reply {
    record_redirect(shared, "GET")
}

#[post("/redirected", data = "<_data>")]
fn redirected_post(_data: Data<'_>, shared: &Sharing) -> Reply {
    record_redirect(shared, "POST")
}

fn record_redirect(shared: &Sharing, method: &str) -> Reply {
    shared.with(|world| {
        let entry = Entry {
            method: Some(method.to_owned()),
            path: Some("/_simulator/redirected".into()),
            status: Some(200),
            ..world.entry(EntryKind::Request)
        };
        world.journal.add(entry);
    });
    Reply::json(200, &json!({ "object": "redirected" }))
}
