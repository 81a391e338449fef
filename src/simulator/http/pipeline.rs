//! The way of an API request: journal, key, fault, idempotency, execution, answer.
//!
//! All of it up to the answer happens under the world's lock in one go, so that what is answered is
//! what was written; only the faults of the transport come after.
use std::sync::Arc;
use std::time::Duration;

use rocket::http::ContentType;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::auth::Head;
use super::distort;
use super::reply::Reply;
use crate::simulator::delivery::hex;
use crate::simulator::failure::Failure;
use crate::simulator::faults::{Action, Fired};
use crate::simulator::form::{self, Node};
use crate::simulator::idempotency::{Claim, StoredKey};
use crate::simulator::journal::{Entry, EntryKind};
use crate::simulator::objects::event::API_VERSION;
use crate::simulator::ops::Operation;
use crate::simulator::params::Params;
use crate::simulator::shared::Shared;
use crate::simulator::world::{Cause, World};

const KEY_LENGTH: usize = 255;

/// An answer before the transport.
struct Answer {
    status: u16,
    body: String,
    /// The request whose stored answer this is.
    original: Option<String>,
}

/// What came out of the lock.
struct Outcome {
    request_id: String,
    answer: Answer,
    fault: Option<Fired>,
    /// A key that is in use until the answer is given.
    held: Option<String>,
}

/// Handles a request; `body` is `None` without one and `Some(None)` if it can't be read.
pub async fn handle(shared: &Arc<Shared>, head: Head, body: Option<Option<Vec<u8>>>) -> Reply {
    let outcome = shared.with(|world| process(world, &head, body));
    let action = outcome.fault.as_ref().map(|fault| fault.action);
    if let Some(Action::Delay(ms)) = action {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    if let Some(scope) = &outcome.held {
        shared.with(|world| world.keys.release(scope));
    }
    let Answer {
        status,
        body,
        original,
    } = outcome.answer;
    let version = head
        .stripe_version
        .unwrap_or_else(|| API_VERSION.to_owned());
    let mut reply = Reply::text(status, ContentType::JSON, body)
        .with("Request-Id", outcome.request_id)
        .with("Stripe-Version", version);
    if let Some(key) = head.idempotency_key {
        reply = reply.with("Idempotency-Key", key);
    }
    if let Some(original) = original {
        reply = reply
            .with("Idempotent-Replayed", "true")
            .with("Original-Request", original);
    }
    if status == 429 {
        reply = reply
            .with("Retry-After", "1")
            .with("Stripe-Should-Retry", "true");
    }
    distort::send(shared, reply, action).await
}

fn process(world: &mut World, head: &Head, body: Option<Option<Vec<u8>>>) -> Outcome {
    let request_id = world.ids.token("req_", 14);
    let fields = read_form(head, body);
    let operation = Operation::at(&head.method, &head.path);
    let name = operation.as_ref().map(|(operation, _)| operation.name());
    let fault = name.and_then(|name| world.faults.on_call(name));
    let entry = Entry {
        method: Some(head.method.clone()),
        path: Some(head.path.clone()),
        operation: name.map(str::to_owned),
        idempotency_key: head.idempotency_key.clone(),
        request_id: Some(request_id.clone()),
        stripe_version: head.stripe_version.clone(),
        params: fields.as_ref().ok().map(|fields| params_json(fields)),
        fault: fault.as_ref().map(|fault| fault.text.clone()),
        ..world.entry(EntryKind::Request)
    };
    let seq = world.journal.add(entry).seq;
    let action = fault.as_ref().map(|fault| fault.action);
    let (answer, held) = match action {
        Some(Action::TimeoutBefore | Action::Redirect) => (None, None),
        Some(Action::Status(status)) => {
            (Some(failed(&Failure::trouble(status), &request_id)), None)
        }
        _ => match admit(head, operation, fields) {
            Err(failure) => (Some(failed(&failure, &request_id)), None),
            Ok(asked) => {
                let (answer, held) = execute(world, asked, action, &request_id);
                (Some(answer), held)
            }
        },
    };
    if let (Some(answer), Some(entry)) = (&answer, world.journal.edit(seq)) {
        let silent = action == Some(Action::TimeoutAfterCommit);
        entry.status = (!silent).then_some(answer.status);
        entry.replayed = answer.original.is_some().then_some(true);
    }
    let answer = answer.unwrap_or(Answer {
        status: 504,
        body: String::new(),
        original: None,
    });
    Outcome {
        request_id,
        answer,
        fault,
        held,
    }
}

/// A request that may be executed.
struct Asked {
    operation: Operation,
    id: String,
    fields: Vec<(String, Node)>,
    claim: Option<Claim>,
}

fn admit(
    head: &Head,
    operation: Option<(Operation, String)>,
    fields: Result<Vec<(String, Node)>, Failure>,
) -> Result<Asked, Failure> {
    let api_key = head.api_key()?;
    let unknown = || Failure::unrecognized(&head.method, &head.path);
    let (operation, id) = operation.ok_or_else(unknown)?;
    let fields = fields?;
    let key = head
        .idempotency_key
        .as_ref()
        .filter(|_| head.method == "POST");
    let claim = key.map(|key| {
        if key.is_empty() || key.chars().count() > KEY_LENGTH {
            let message = format!("The Idempotency-Key must have 1 to {KEY_LENGTH} characters.");
            return Err(Failure::malformed(message));
        }
        Ok(Claim {
            scope: hashed(&format!("{api_key}\0{key}")),
            key: key.clone(),
            path: head.path.clone(),
            fingerprint: hashed(&form::canonical(&fields)),
        })
    });
    Ok(Asked {
        operation,
        id,
        claim: claim.transpose()?,
        fields,
    })
}

/// Gives the answer, and the key that is to be in use for as long as the answer is delayed.
fn execute(
    world: &mut World,
    asked: Asked,
    action: Option<Action>,
    request_id: &str,
) -> (Answer, Option<String>) {
    if let Some(claim) = &asked.claim {
        match world.keys.check(claim) {
            Err(failure) => return (failed(&failure, request_id), None),
            Ok(None) => {}
            Ok(Some(key)) => {
                let original = Some(key.request_id.clone());
                return (
                    Answer {
                        status: key.status,
                        body: key.body.clone(),
                        original,
                    },
                    None,
                );
            }
        }
    }
    world.cause = Cause {
        request_id: Some(request_id.to_owned()),
        idempotency_key: asked.claim.as_ref().map(|claim| claim.key.clone()),
    };
    let result = asked
        .operation
        .run(world, &asked.id, Params::new(asked.fields));
    let (mut answer, stored) = match result {
        Ok(object) => (
            Answer {
                status: 200,
                body: object.to_string(),
                original: None,
            },
            true,
        ),
        Err(failure) => (failed(&failure, request_id), failure.stored),
    };
    if let Some(Action::StatusAfterCommit(status)) = action {
        answer = failed(&Failure::trouble(status), request_id);
    }
    let Some(claim) = asked.claim.filter(|_| stored) else {
        return (answer, None);
    };
    let held = matches!(action, Some(Action::Delay(_))).then(|| claim.scope.clone());
    if let Some(scope) = &held {
        world.keys.hold(scope);
    }
    world.keep_key(StoredKey {
        scope: claim.scope,
        path: claim.path,
        fingerprint: claim.fingerprint,
        request_id: request_id.to_owned(),
        status: answer.status,
        body: answer.body.clone(),
        stored_ms: world.clock.now_ms(),
    });
    (answer, held)
}

fn failed(failure: &Failure, request_id: &str) -> Answer {
    let body = failure.body(request_id).to_string();
    Answer {
        status: failure.status,
        body,
        original: None,
    }
}

fn read_form(head: &Head, body: Option<Option<Vec<u8>>>) -> Result<Vec<(String, Node)>, Failure> {
    let mut text = head.query.clone();
    if let Some(body) = body {
        let body = body.ok_or_else(|| Failure::malformed("The request's body can't be read."))?;
        let is_form = head.content_type.as_deref().is_some_and(|kind| {
            kind.to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded")
        });
        if !body.is_empty() && !is_form {
            let message = "Invalid request (check that your POST content type is \
                 application/x-www-form-urlencoded).";
            return Err(Failure::malformed(message));
        }
        let body = String::from_utf8(body);
        let body = body.map_err(|_| Failure::malformed("Invalid UTF-8 in the request."))?;
        text.push('&');
        text.push_str(&body);
    }
    form::parse(&text).map_err(Failure::malformed)
}

fn params_json(fields: &[(String, Node)]) -> Value {
    let pairs = fields.iter().map(|(name, node)| {
        let value = match node {
            Node::Text(text) => Value::String(text.clone()),
            Node::Map(children) => params_json(children),
        };
        (name.clone(), value)
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn hashed(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
