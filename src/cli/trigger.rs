//! `till trigger`: makes the simulator do to an order's checkout what customers, banks and time do.
//!
//! Everything then goes its usual way: the simulator changes its own state and sends its signed webhook. Nothing is
//! written to Till's database here.

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::output::print;
use super::storage::must_exist;
use super::{TriggerArgs, WrongUse, simulated};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::ids::OrderId;
use crate::provider::stripe::DEFAULT_BASE_URL;
use crate::store::Store;
use crate::store::checkouts::SessionRecord;

/// What can be made to happen, by the name of the webhook that tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TriggerEvent {
    /// The customer pays by card
    #[value(name = "checkout.session.completed")]
    Completed,
    /// The customer's card is declined; the session stays open
    #[value(name = "payment_intent.payment_failed")]
    PaymentFailed,
    /// The session's time is over
    #[value(name = "checkout.session.expired")]
    Expired,
    /// The customer pays by a slow method, and the money arrives
    #[value(name = "checkout.session.async_payment_succeeded")]
    SlowPaymentSucceeded,
    /// The customer pays by a slow method, and the money does not arrive
    #[value(name = "checkout.session.async_payment_failed")]
    SlowPaymentFailed,
    /// The cardholder disputes the payment
    #[value(name = "charge.dispute.created")]
    Disputed,
    /// Somebody refunds the payment in the provider's dashboard
    #[value(name = "charge.refunded")]
    Refunded,
}

impl TriggerEvent {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

pub(super) async fn trigger(config: &Config, args: TriggerArgs) -> anyhow::Result<ExitCode> {
    let order: OrderId = args.order.parse().map_err(|_| {
        let given = &args.order;
        WrongUse(format!(
            "`{given}` is not an order's id; it looks like ord_…, as GET /v1/orders shows it"
        ))
    })?;
    let simulator = find_simulator(config).await?;
    let session = session_of(config, order).await?;
    let (Some(provider_session), id) = (session.provider_session_id, session.id) else {
        return Err(WrongUse(format!(
            "the checkout session {} of order {order} has not reached the provider yet; try again in a moment",
            session.id
        ))
        .into());
    };
    let controls = Controls {
        simulator,
        session: provider_session,
        client: simulated::client()?,
    };
    let event = args.event.name();
    if let Err(refusal) = controls.carry_out(args.event).await? {
        let unpaid = refusal.contains("has no charge") || refusal == NO_PAYMENT;
        let next = match unpaid {
            true => {
                let first = TriggerEvent::Completed.name();
                format!("\nThe order is not paid yet; first: till trigger {first} --order {order}")
            }
            false => String::new(),
        };
        anyhow::bail!("the simulator refused `{event}` for session {id}: {refusal}{next}");
    }
    let value = json!({
        "event": event, "order": order, "checkout_session": id,
        "provider_session": controls.session, "simulator": controls.simulator,
    });
    print(args.json, &value, || {
        format!("Triggered {event} for order {order} ({id}); its webhook is on the way to Till.")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The simulator of the server beside us, or the one that is configured; never anything real.
async fn find_simulator(config: &Config) -> anyhow::Result<String> {
    if let Some(url) = simulated::running_beside(config).await {
        return Ok(url);
    }
    let configured = config.providers.stripe.base_url.trim_end_matches('/');
    if configured == DEFAULT_BASE_URL {
        return Err(WrongUse(
            "no simulator runs for this database, and a real provider takes no such orders. Start one with\n  \
             till serve --with-simulator\n\
             or name a running one with TILL_PROVIDERS__STRIPE__BASE_URL=http://127.0.0.1:12111"
                .to_owned(),
        )
        .into());
    }
    if !simulated::is_simulator(configured).await {
        return Err(WrongUse(format!(
            "the provider at {configured} is not a running simulator: start one with `till simulator`, or correct \
             TILL_PROVIDERS__STRIPE__BASE_URL"
        ))
        .into());
    }
    Ok(configured.to_owned())
}

async fn session_of(config: &Config, order: OrderId) -> anyhow::Result<SessionRecord> {
    must_exist(config)?;
    let store = Store::open_read_only(&config.database(), Clock::system()).await?;
    let known = store.has_order(order).await?;
    let session = store.newest_session(order).await?;
    store.close().await?;
    if let Some(session) = session {
        return Ok(session);
    }
    if !known {
        return Err(WrongUse(format!(
            "there is no order {order} in this database; list them with\n  \
             curl http://{}/v1/orders -H \"Authorization: Bearer $KEY\"",
            config.address()
        ))
        .into());
    }
    Err(WrongUse(format!(
        "order {order} has no checkout session yet; start one with\n  \
         curl http://{}/v1/orders/{order}/checkout_sessions -H \"Authorization: Bearer $KEY\" \\\n    \
         -H \"Content-Type: application/json\" -H \"Idempotency-Key: $(date +%s%N)\" \\\n    \
         -d '{{\"success_url\":\"https://shop.example/thanks\",\"cancel_url\":\"https://shop.example/cart\"}}'",
        config.address()
    ))
    .into())
}

/// What is said of a refund when there is nothing to refund.
const NO_PAYMENT: &str = "the session has no payment";

/// One session at the simulator.
struct Controls {
    simulator: String,
    session: String,
    client: reqwest::Client,
}

/// What the simulator said against it, in its own words.
type Refusal = String;

impl Controls {
    async fn carry_out(&self, event: TriggerEvent) -> anyhow::Result<Result<(), Refusal>> {
        match event {
            TriggerEvent::Completed => self.act("pay", json!({})).await,
            TriggerEvent::PaymentFailed => self.act("decline", json!({})).await,
            TriggerEvent::Expired => self.act("expire", json!({})).await,
            TriggerEvent::SlowPaymentSucceeded => self.settle("succeeded").await,
            TriggerEvent::SlowPaymentFailed => self.settle("failed").await,
            TriggerEvent::Disputed => self.act("dispute", json!({})).await,
            TriggerEvent::Refunded => self.refund().await,
        }
    }

    /// Ends a slow payment, after beginning it if the customer has not.
    async fn settle(&self, outcome: &str) -> anyhow::Result<Result<(), Refusal>> {
        let end = json!({ "outcome": outcome });
        if self.act("settle", end.clone()).await?.is_ok() {
            return Ok(Ok(()));
        }
        match self.act("pay", json!({"method": "delayed"})).await? {
            Ok(()) => self.act("settle", end).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn refund(&self) -> anyhow::Result<Result<(), Refusal>> {
        let url = format!("{}/v1/checkout/sessions/{}", self.simulator, self.session);
        let answer = self
            .client
            .get(url)
            .bearer_auth(simulated::KEY)
            .send()
            .await;
        let answer = answer.context("the simulator does not answer")?;
        let session: Value = answer
            .json()
            .await
            .context("the simulator's answer is not JSON")?;
        match session["payment_intent"].as_str() {
            Some(intent) => {
                let path = format!("payment_intents/{intent}/refund");
                self.post(&path, json!({})).await
            }
            None => Ok(Err(NO_PAYMENT.to_owned())),
        }
    }

    async fn act(&self, verb: &str, body: Value) -> anyhow::Result<Result<(), Refusal>> {
        self.post(&format!("sessions/{}/{verb}", self.session), body)
            .await
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Result<(), Refusal>> {
        let url = format!("{}/_simulator/{path}", self.simulator);
        let answer = self.client.post(url).json(&body).send().await;
        let answer = answer.context("the simulator does not answer")?;
        if answer.status().is_success() {
            return Ok(Ok(()));
        }
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let message = body.pointer("/error/message").and_then(Value::as_str);
        Ok(Err(
            message.map_or_else(|| status.to_string(), str::to_owned)
        ))
    }
}
