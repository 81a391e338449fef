//! `/_simulator`: what customers, banks and the dashboard do, on command.
use rocket::{Route, post, routes};
use serde_json::Value;

use super::control::{Input, Sharing, refusal};
use super::reply::Reply;
use super::views::{self, TestCard};
use crate::simulator::acts::pay::{self, Card};
use crate::simulator::acts::{charge_of_session, dispute, refund, time};
use crate::simulator::failure::Failure;
use crate::simulator::objects::dispute::DisputeStatus;
use crate::simulator::ops::Operation;
use crate::simulator::params::Params;
use crate::simulator::world::World;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![
        pay_session,
        decline_session,
        expire_session,
        settle_session,
        dispute_session,
        dispute_charge,
        submit_dispute,
        close_dispute,
        reinstate_dispute,
        refund_intent,
        succeed_refund,
        fail_refund
    ]
}

/// Runs an act and answers with the object it was done to.
fn act(
    shared: &Sharing,
    show: Operation,
    id: &str,
    act: impl FnOnce(&mut World) -> Result<(), Failure>,
) -> Reply {
    let result = shared.with(|world| {
        act(world)?;
        show.run(world, id, Params::new(vec![]))
    });
    answer(result)
}

fn answer(result: Result<Value, Failure>) -> Reply {
    match result {
        Ok(object) => Reply::json(200, &object),
        Err(failure) => Reply::json(failure.status, &failure.body("none")),
    }
}

#[post("/sessions/<id>/pay", data = "<input>")]
fn pay_session(id: &str, input: Input, shared: &Sharing) -> Reply {
    let email = input.0["email"].as_str().map(str::to_owned);
    let card = Card {
        email,
        ..views::paying_card()
    };
    match input.0["method"].as_str().unwrap_or("card") {
        "card" => act(shared, Operation::SessionRetrieve, id, |world| {
            pay::pay(world, id, &card)
        }),
        "delayed" => act(shared, Operation::SessionRetrieve, id, |world| {
            pay::pay_slowly(world, id, &card)
        }),
        _ => refusal("`method` is \"card\" or \"delayed\""),
    }
}

#[post("/sessions/<id>/decline", data = "<input>")]
fn decline_session(id: &str, input: Input, shared: &Sharing) -> Reply {
    let declined = match input.0["decline_code"]
        .as_str()
        .unwrap_or("generic_decline")
    {
        "insufficient_funds" => TestCard::InsufficientFunds,
        "generic_decline" => TestCard::Declined,
        _ => return refusal("`decline_code` is \"generic_decline\" or \"insufficient_funds\""),
    };
    act(shared, Operation::SessionRetrieve, id, |world| {
        let decline = declined.decline().expect("both cards are declined");
        pay::decline(world, id, &declined.card(), decline)
    })
}

#[post("/sessions/<id>/expire", data = "<_input>")]
fn expire_session(id: &str, _input: Input, shared: &Sharing) -> Reply {
    act(shared, Operation::SessionRetrieve, id, |world| {
        pay::open_session(world, id)?;
        time::expire(world, id);
        Ok(())
    })
}

#[post("/sessions/<id>/settle", data = "<input>")]
fn settle_session(id: &str, input: Input, shared: &Sharing) -> Reply {
    let succeeded = match input.0["outcome"].as_str().unwrap_or("succeeded") {
        "succeeded" => true,
        "failed" => false,
        _ => return refusal("`outcome` is \"succeeded\" or \"failed\""),
    };
    act(shared, Operation::SessionRetrieve, id, |world| {
        pay::settle(world, id, succeeded)
    })
}

fn opening(input: &Value) -> dispute::Opening {
    dispute::Opening {
        amount: input["amount"].as_i64(),
        reason: input["reason"].as_str().map(str::to_owned),
        inquiry: input["inquiry"].as_bool().unwrap_or(false),
    }
}

#[post("/sessions/<id>/dispute", data = "<input>")]
fn dispute_session(id: &str, input: Input, shared: &Sharing) -> Reply {
    answer(shared.with(|world| {
        let charge = charge_of_session(world, id)?;
        Ok(dispute::open(world, &charge, opening(&input.0))?.json())
    }))
}

#[post("/charges/<id>/dispute", data = "<input>")]
fn dispute_charge(id: &str, input: Input, shared: &Sharing) -> Reply {
    answer(shared.with(|world| Ok(dispute::open(world, id, opening(&input.0))?.json())))
}

#[post("/disputes/<id>/submit", data = "<_input>")]
fn submit_dispute(id: &str, _input: Input, shared: &Sharing) -> Reply {
    act(shared, Operation::DisputeRetrieve, id, |world| {
        dispute::submit(world, id)
    })
}

#[post("/disputes/<id>/close", data = "<input>")]
fn close_dispute(id: &str, input: Input, shared: &Sharing) -> Reply {
    let outcome = match input.0["outcome"].as_str() {
        Some("won") => DisputeStatus::Won,
        Some("lost") => DisputeStatus::Lost,
        Some("warning_closed") => DisputeStatus::WarningClosed,
        _ => return refusal("`outcome` is \"won\", \"lost\" or \"warning_closed\""),
    };
    let at_once = input.0["reinstate"].as_bool().unwrap_or(true);
    act(shared, Operation::DisputeRetrieve, id, |world| {
        dispute::close(world, id, outcome, at_once)
    })
}

#[post("/disputes/<id>/reinstate", data = "<_input>")]
fn reinstate_dispute(id: &str, _input: Input, shared: &Sharing) -> Reply {
    act(shared, Operation::DisputeRetrieve, id, |world| {
        dispute::reinstate(world, id)
    })
}

/// As if done by hand in the dashboard: no metadata tells the merchant whose refund it is.
#[post("/payment_intents/<id>/refund", data = "<input>")]
fn refund_intent(id: &str, input: Input, shared: &Sharing) -> Reply {
    let amount = match &input.0["amount"] {
        Value::Null => None,
        amount => match amount.as_i64().filter(|amount| *amount > 0) {
            Some(amount) => Some(amount),
            None => return refusal("`amount` is a positive whole number"),
        },
    };
    let reason = Some("requested_by_customer".to_owned());
    answer(shared.with(|world| {
        let intent = world.intents.find(id, "intent")?;
        let charge = intent.latest_charge.clone().unwrap_or_default();
        let request = refund::Request {
            amount,
            reason,
            metadata: Default::default(),
        };
        Ok(refund::refund(world, &charge, request)?.json())
    }))
}

#[post("/refunds/<id>/succeed", data = "<_input>")]
fn succeed_refund(id: &str, _input: Input, shared: &Sharing) -> Reply {
    act(shared, Operation::RefundRetrieve, id, |world| {
        refund::succeed(world, id)
    })
}

#[post("/refunds/<id>/fail", data = "<input>")]
fn fail_refund(id: &str, input: Input, shared: &Sharing) -> Reply {
    let reason = input.0["reason"]
        .as_str()
        .unwrap_or("expired_or_canceled_card")
        .to_owned();
    act(shared, Operation::RefundRetrieve, id, |world| {
        refund::fail(world, id, &reason)
    })
}
