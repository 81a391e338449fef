//! What can happen to an order, told so that every step of the money's way is taken by one of the stories.

use serde_json::{Value, json};
use till::store::failpoint::Step;

use crate::harness::client::{checkout_body, checkout_path};
use crate::harness::{Phoenix, WEBHOOK_SECRET, signed};

/// A way of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// It is placed.
    Placed,
    /// It is paid, and the webhook says so.
    Paid,
    /// It is paid, and half of it goes back.
    Refunded,
    /// Its money is reserved and taken.
    Captured,
    /// Its money is reserved and released.
    Voided,
    /// It is cancelled while its session is open.
    Cancelled,
    /// Its session is ended.
    SessionEnded,
    /// Its time is up.
    Expired,
    /// The provider's answer to its refund is lost.
    AnswerLost,
    /// No webhook says that it was paid, and the first question gets no answer either.
    WebhooksLost,
    /// No webhook says that its refund went through, and the first question gets no answer either.
    RefundWebhooksLost,
    /// The provider says that it was refunded before it says that it was paid.
    RefundHeardFirst,
    /// A webhook names another amount.
    Disbelieved,
    /// The shop asks about its session.
    Refreshed,
    /// Somebody else gave its money back.
    RefundDeclined,
    /// For a day nobody could say whether its refund was made.
    Doubted,
    /// A webhook about it cannot be read.
    Unreadable,
    /// For a day nobody could say whether its session was made.
    CreationLost,
    /// Nobody can say whether its session was made, and somebody wants one now.
    CreationGivenUp,
    /// The provider gives no answers for a while.
    Outage,
    /// A webhook about it was of no use to an older version, and somebody has it tried again.
    Replayed,
    /// It is paid with another amount, and somebody of the staff takes that for the order's.
    Decided,
}

/// Every story, the longest first.
pub const STORIES: [Story; 22] = [
    Story::Doubted,
    Story::Replayed,
    Story::CreationLost,
    Story::CreationGivenUp,
    Story::Outage,
    Story::WebhooksLost,
    Story::RefundWebhooksLost,
    Story::AnswerLost,
    Story::Refunded,
    Story::RefundHeardFirst,
    Story::Cancelled,
    Story::Paid,
    Story::Captured,
    Story::Voided,
    Story::SessionEnded,
    Story::Expired,
    Story::Disbelieved,
    Story::Refreshed,
    Story::Decided,
    Story::RefundDeclined,
    Story::Unreadable,
    Story::Placed,
];

/// The story that takes a step.
pub fn story_of(step: Step) -> Story {
    match step {
        Step::Number | Step::Place | Step::PlaceEvents | Step::IndexOrders => Story::Placed,
        Step::CheckoutBegin
        | Step::CheckoutAnswer
        | Step::SendSessionCreate
        | Step::SettleSessionCreate
        | Step::SettleWebhook
        | Step::MakeBooks => Story::Paid,
        Step::RefundBegin | Step::RefundAnswer | Step::SendRefund | Step::SettleRefund => {
            Story::Refunded
        }
        Step::CaptureBegin | Step::CaptureAnswer | Step::SendCapture | Step::SettleCapture => {
            Story::Captured
        }
        Step::VoidBegin | Step::VoidAnswer | Step::SendVoid | Step::SettleVoid => Story::Voided,
        Step::CancelBegin
        | Step::CancelAnswer
        | Step::SendSessionExpire
        | Step::SettleSessionExpire
        | Step::SettleClosing => Story::Cancelled,
        Step::ExpireBegin | Step::ExpireAnswer => Story::SessionEnded,
        Step::OrderExpiryBegin => Story::Expired,
        Step::CallUnknown | Step::ClaimCalls => Story::AnswerLost,
        Step::ClaimSessions | Step::Fetch | Step::SettlePoll | Step::PollFailed => {
            Story::WebhooksLost
        }
        Step::ClaimPayments
        | Step::FetchRefunds
        | Step::SettlePaymentPoll
        | Step::PaymentPollFailed => Story::RefundWebhooksLost,
        Step::ClaimEvents | Step::SettleRetry | Step::EventFailed => Story::RefundHeardFirst,
        Step::SettleRefetch => Story::Disbelieved,
        Step::SettleRefresh => Story::Refreshed,
        Step::SettleDecision => Story::Decided,
        Step::SettlePaymentRefresh => Story::RefundDeclined,
        Step::SettleDoubt => Story::Doubted,
        Step::KeepEvent => Story::Unreadable,
        Step::FindSession => Story::CreationLost,
        Step::ClaimStaleCreation => Story::CreationGivenUp,
        Step::WakeCalls => Story::Outage,
        Step::ClaimReplay | Step::SettleReplay => Story::Replayed,
    }
}

/// The order a story was told of.
pub struct Told {
    /// Its id.
    pub order: String,
    /// Its session's id.
    pub session: Option<String>,
}

/// An order on its way.
struct Way<'a> {
    phoenix: &'a Phoenix,
    order: String,
    session: Value,
}

impl Story {
    /// Tells it to the end.
    pub async fn tell(self, phoenix: &Phoenix) -> Told {
        let order = placed(phoenix).await;
        if self == Story::Placed {
            return Told {
                order,
                session: None,
            };
        }
        let session = match self {
            Story::CreationLost => creation_lost(phoenix, &order).await,
            Story::CreationGivenUp => creation_given_up(phoenix, &order).await,
            _ => {
                let mut body = checkout_body();
                if matches!(self, Story::Captured | Story::Voided) {
                    body["capture"] = json!("manual");
                }
                let path = checkout_path(&order);
                phoenix.post(&path, &body).await.expect(201)
            }
        };
        let way = Way {
            phoenix,
            order,
            session,
        };
        way.go(self).await;
        Told {
            session: Some(way.id().to_owned()),
            order: way.order,
        }
    }
}

async fn placed(phoenix: &Phoenix) -> String {
    let body = json!({
        "currency": "EUR",
        "line_items": [{"name": "Mug", "unit_price": "12.50", "quantity": 2}],
    });
    let order = phoenix.post("/v1/orders", &body).await.expect(201);
    order["id"].as_str().expect("an id").to_owned()
}

/// A checkout whose first call to the provider goes wrong in this way; its key.
async fn creation_unknown(phoenix: &Phoenix, order: &str, fault: &str) -> String {
    let script = json!({"on": "checkout.session.create", "do": fault});
    let set = phoenix.provider.post("/_simulator/faults", &script);
    set.await.expect(200);
    let (path, body) = (checkout_path(order), checkout_body());
    let key = uuid::Uuid::new_v4().to_string();
    let post = reqwest::Method::POST;
    let asked = phoenix.ask(&post, &path, Some(&key), Some(&body)).await;
    asked.expect(202);
    key
}

/// Another session, because the creation of the first was unknown for a day and is looked for only tomorrow. A
/// server that starts again may look at once: then the shop, told that there is no session, asks once more.
async fn creation_given_up(phoenix: &Phoenix, order: &str) -> Value {
    creation_unknown(phoenix, order, "status:503").await;
    let long_tried = format!(
        "UPDATE provider_call SET created_at = created_at - 84600000, attempt_count = 3, \
         next_at = next_at + 86400000 WHERE kind = 'session_create' AND order_id = '{order}'"
    );
    phoenix.sandbox.change(&[&long_tried]).await;
    let path = checkout_path(order);
    loop {
        let answer = phoenix.post(&path, &checkout_body()).await;
        if answer.status != 502 {
            return answer.expect(201);
        }
    }
}

/// A session whose creation was not answered for a day, once it has been looked for and found.
async fn creation_lost(phoenix: &Phoenix, order: &str) -> Value {
    let key = creation_unknown(phoenix, order, "reset_mid_response").await;
    let (path, body) = (checkout_path(order), checkout_body());
    let post = reqwest::Method::POST;
    let ask = async || phoenix.ask(&post, &path, Some(&key), Some(&body)).await;
    let a_day_later = format!(
        "UPDATE provider_call SET created_at = created_at - 84600000, next_at = 0 \
         WHERE kind = 'session_create' AND order_id = '{order}'"
    );
    phoenix.sandbox.change(&[&a_day_later]).await;
    phoenix
        .until("it was found", async || ask().await.status == 201)
        .await;
    ask().await.expect(201)
}

impl Way<'_> {
    async fn go(&self, story: Story) {
        match story {
            Story::Placed => {}
            Story::Paid => {
                // The shop's page is loaded again: another key, and the same session.
                let path = checkout_path(&self.order);
                let again = self.phoenix.post(&path, &checkout_body()).await;
                assert!(matches!(again.status, 200 | 201), "{again:?}");
                assert_eq!(again.json["id"], self.id());
                self.paid().await;
            }
            Story::CreationLost | Story::CreationGivenUp => self.paid().await,
            Story::Outage => self.outage().await,
            Story::Replayed => self.replayed().await,
            Story::Refunded => {
                self.paid().await;
                self.refunded().await;
            }
            Story::Captured => self.ended("capture", json!({"amount": "20.00"})).await,
            Story::Voided => self.ended("void", json!({})).await,
            Story::Cancelled => {
                let path = format!("/v1/orders/{}/cancel", self.order);
                self.phoenix.post(&path, &json!({})).await.expect(200);
            }
            Story::SessionEnded => {
                let path = format!("/v1/checkout_sessions/{}/expire", self.id());
                self.phoenix.post(&path, &json!({})).await.expect(200);
            }
            Story::Expired => self.expired().await,
            Story::AnswerLost => {
                self.paid().await;
                self.fault(json!({"on": "refund.create", "do": "reset_mid_response"}))
                    .await;
                self.refunded().await;
            }
            Story::WebhooksLost => self.webhooks_lost().await,
            Story::RefundWebhooksLost => self.refund_webhooks_lost().await,
            Story::RefundHeardFirst => self.refund_heard_first().await,
            Story::Disbelieved => {
                self.fault(json!([
                    {"webhook": "payment_intent.*", "times": "always", "do": "drop"},
                    {"webhook": "checkout.session.completed", "do": "wrong_amount"},
                ]))
                .await;
                self.paid().await;
            }
            Story::Refreshed => self.refreshed().await,
            Story::Decided => self.decided().await,
            Story::RefundDeclined => self.refund_declined().await,
            Story::Doubted => self.doubted().await,
            Story::Unreadable => self.unreadable().await,
        }
    }

    fn id(&self) -> &str {
        self.session["id"].as_str().expect("an id")
    }

    async fn fault(&self, script: Value) {
        let set = self.phoenix.provider.post("/_simulator/faults", &script);
        set.await.expect(200);
    }

    async fn status_is(&self, status: &str) {
        let path = format!("/v1/orders/{}", self.order);
        self.phoenix
            .until(status, async || {
                self.phoenix.get(&path).await["payment_status"] == status
            })
            .await;
    }

    /// The customer pays; the order shows it.
    async fn paid(&self) {
        self.phoenix.provider.pay(&self.session).await;
        self.status_is("paid").await;
    }

    async fn refunded(&self) {
        let path = format!("/v1/orders/{}/refunds", self.order);
        let body = json!({"amount": "12.50"});
        self.phoenix.post(&path, &body).await.expect(201);
    }

    /// Reserved, then ended by a capture or a void.
    async fn ended(&self, verb: &str, body: Value) {
        self.phoenix.provider.pay(&self.session).await;
        self.status_is("authorized").await;
        let list = format!("/v1/payments?order_id={}", self.order);
        let payment = self.phoenix.get(&list).await["data"][0].clone();
        let id = payment["id"].as_str().expect("an id");
        let path = format!("/v1/payments/{id}/{verb}");
        self.phoenix.post(&path, &body).await.expect(200);
    }

    async fn expired(&self) {
        let sql = format!(
            "UPDATE \"order\" SET expires_at = 1 WHERE id = '{}'",
            self.order
        );
        self.phoenix.sandbox.change(&[&sql]).await;
        let path = format!("/v1/orders/{}", self.order);
        self.phoenix
            .until("expired", async || {
                self.phoenix.get(&path).await["status"] == "expired"
            })
            .await;
    }

    /// Half a minute passes again and again, until the order shows something.
    async fn in_time(&self, status: &str) {
        let path = format!("/v1/orders/{}", self.order);
        self.phoenix
            .until(status, async || {
                self.phoenix.sandbox.half_a_minute_passes().await;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                self.phoenix.get(&path).await["payment_status"] == status
            })
            .await;
    }

    async fn webhooks_lost(&self) {
        self.fault(json!([
            {"webhook": "*", "times": "always", "do": "drop"},
            {"on": "checkout.session.retrieve", "do": "status:503"},
        ]))
        .await;
        self.phoenix.provider.pay(&self.session).await;
        self.in_time("paid").await;
    }

    async fn refund_webhooks_lost(&self) {
        self.paid().await;
        self.fault(json!([
            {"webhook": "*", "times": "always", "do": "drop"},
            {"on": "refund.list", "do": "status:503"},
        ]))
        .await;
        let settings = json!({"refunds": "pending"});
        let provider = &self.phoenix.provider;
        provider
            .post("/_simulator/settings", &settings)
            .await
            .expect(200);
        let path = format!("/v1/orders/{}/refunds", self.order);
        let body = json!({"amount": "12.50"});
        let refund = self.phoenix.post(&path, &body).await.expect(201);
        let id = refund["provider_refund_id"].as_str().expect("an id");
        let succeed = format!("/_simulator/refunds/{id}/succeed");
        provider.post(&succeed, &json!({})).await.expect(200);
        let settings = json!({"refunds": "succeeded"});
        provider
            .post("/_simulator/settings", &settings)
            .await
            .expect(200);
        self.in_time("partially_refunded").await;
    }

    /// At the provider, as if by hand.
    async fn refund_by_hand(&self, amount: Value) {
        let at_provider = self.session["provider_session_id"].as_str().expect("an id");
        let path = format!("/v1/checkout/sessions/{at_provider}");
        let session = self.phoenix.provider.get(&path).await.expect(200);
        let intent = session["payment_intent"].as_str().expect("an intent");
        let path = format!("/_simulator/payment_intents/{intent}/refund");
        let refund = json!({"amount": amount});
        self.phoenix.provider.post(&path, &refund).await.expect(200);
    }

    async fn refund_heard_first(&self) {
        self.fault(json!([
            {"webhook": "checkout.session.completed", "times": "always", "do": "drop"},
            {"webhook": "payment_intent.*", "times": "always", "do": "drop"},
            {"on": "payment_intent.retrieve", "do": "status:503"},
        ]))
        .await;
        self.phoenix.provider.pay(&self.session).await;
        self.refund_by_hand(json!(1_250)).await;
        self.in_time("partially_refunded").await;
    }

    async fn refreshed(&self) {
        let lost = json!({"webhook": "*", "times": "always", "do": "drop"});
        self.fault(lost).await;
        self.phoenix.provider.pay(&self.session).await;
        let path = format!("/v1/checkout_sessions/{}?refresh=true", self.id());
        let session = self.phoenix.get(&path).await;
        assert_eq!(session["status"], "complete", "{session}");
    }

    /// Our session was made for less than is paid: the money is nobody's until somebody decides, once.
    async fn decided(&self) {
        let less = format!(
            "UPDATE checkout_session SET amount_minor = 2400 WHERE id = '{}'",
            self.id()
        );
        self.phoenix.sandbox.change(&[&less]).await;
        self.refreshed().await;
        let order = &self.order;
        let look = format!("/v1/orders/{order}");
        let seen = self.phoenix.get(&look).await;
        assert_eq!(seen["review"], "amount_mismatch", "{seen}");
        super::desk::decide(self.phoenix, order, "accept").await;
        let seen = self.phoenix.get(&look).await;
        assert_eq!(
            (&seen["review"], &seen["payment_status"]),
            (&Value::Null, &json!("paid")),
            "{seen}"
        );
        let taken = format!(
            "SELECT resolution FROM review_decision WHERE order_id = '{order}' UNION ALL \
             SELECT kind FROM provider_fact WHERE order_id = '{order}' AND kind = 'payment_accepted'"
        );
        let taken = self.phoenix.sandbox.texts(&taken).await;
        assert_eq!(taken, ["accept", "payment_accepted"], "once");
    }

    /// So many questions without an answer that no more are asked for a while; then the provider is back.
    async fn outage(&self) {
        self.fault(json!([
            {"webhook": "*", "times": "always", "do": "drop"},
            {"on": "checkout.session.retrieve", "times": 8, "do": "status:503"},
        ]))
        .await;
        self.phoenix.provider.pay(&self.session).await;
        let path = format!("/v1/checkout_sessions/{}?refresh=true", self.id());
        self.phoenix
            .until("it answers again", async || {
                self.phoenix.get(&path).await["status"] == "complete"
            })
            .await;
    }

    /// The only webhook that arrives is left as a version would have that did not know its type.
    async fn replayed(&self) {
        let never = format!(
            "UPDATE checkout_session SET next_poll_at = next_poll_at + 86400000 WHERE id = '{}'",
            self.id()
        );
        self.phoenix.sandbox.change(&[&never]).await;
        let lost = json!({"webhook": "*", "times": "always", "do": "drop"});
        self.fault(lost).await;
        self.phoenix.provider.pay(&self.session).await;
        let provider = &self.phoenix.provider;
        let path = "/v1/events?type=checkout.session.completed&limit=100";
        let events = provider.get(path).await.expect(200);
        let events = events["data"].as_array().expect("a list");
        let about =
            |event: &&Value| event["data"]["object"]["id"] == self.session["provider_session_id"];
        let event = events.iter().find(about).expect("its event");
        let mut unknown = event.clone();
        unknown["type"] = json!("checkout.session.pondered");
        self.deliver(&unknown).await;
        let id = event["id"].as_str().expect("an id");
        let bytes = event.to_string();
        self.phoenix
            .sandbox
            .event_becomes(id, bytes.as_bytes())
            .await;
        self.phoenix.replay(id).await;
        self.status_is("paid").await;
        let verdict = format!("SELECT verdict FROM provider_event WHERE event_id = '{id}'");
        assert_eq!(self.phoenix.sandbox.texts(&verdict).await, ["applied"]);
    }

    /// A webhook, sent until it is acknowledged.
    async fn deliver(&self, event: &Value) {
        let body = event.to_string();
        self.phoenix
            .until("it is acknowledged", async || {
                let request = self
                    .phoenix
                    .shop
                    .request(reqwest::Method::POST, "/webhooks/stripe");
                let request = request
                    .header("Content-Type", "application/json")
                    .header("Stripe-Signature", signed(WEBHOOK_SECRET, &body))
                    .body(body.clone());
                match crate::harness::Client::send(request).await {
                    Ok(answer) => answer.status == 200,
                    Err(_) => {
                        self.phoenix.rise().await;
                        false
                    }
                }
            })
            .await;
    }

    async fn refund_declined(&self) {
        self.paid().await;
        let late = json!({"webhook": "*", "times": "always", "do": "delay:2000"});
        self.fault(late).await;
        self.refund_by_hand(Value::Null).await;
        let path = format!("/v1/orders/{}/refunds", self.order);
        let body = json!({"amount": "12.50"});
        self.phoenix.post(&path, &body).await.expect(502);
        self.status_is("refunded").await;
    }

    async fn doubted(&self) {
        self.paid().await;
        self.fault(json!([
            {"on": "refund.create", "do": "reset_mid_response"},
            {"on": "refund.list", "times": "always", "do": "status:503"},
        ]))
        .await;
        let path = format!("/v1/orders/{}/refunds", self.order);
        let body = json!({"amount": "12.50"});
        let key = uuid::Uuid::new_v4().to_string();
        let post = reqwest::Method::POST;
        let ask = async || {
            self.phoenix
                .ask(&post, &path, Some(&key), Some(&body))
                .await
        };
        // The provider's webhook may be faster than the caller's answer.
        let first = ask().await.status;
        assert!([201, 202].contains(&first), "{first}");
        let a_day_later = format!(
            "UPDATE provider_call SET created_at = created_at - 90000000, next_at = 0 \
             WHERE kind = 'refund_create' AND order_id = '{}'",
            self.order
        );
        self.phoenix.sandbox.change(&[&a_day_later]).await;
        let look = format!("/v1/orders/{}", self.order);
        self.phoenix
            .until("people are asked", async || {
                self.phoenix.get(&look).await["review"] == "outcome_unknown"
            })
            .await;
        self.phoenix.provider.delete("/_simulator/faults").await;
        let the_next_day = format!(
            "UPDATE provider_call SET next_at = 0 WHERE kind = 'refund_create' AND order_id = '{}'",
            self.order
        );
        self.phoenix.sandbox.change(&[&the_next_day]).await;
        self.phoenix
            .until("nobody has to be asked any more", async || {
                self.phoenix.get(&look).await["review"].is_null()
            })
            .await;
        self.phoenix
            .until("it was made", async || ask().await.status == 201)
            .await;
    }

    async fn unreadable(&self) {
        self.paid().await;
        let event = json!({
            "id": format!("evt_{}", uuid::Uuid::new_v4().simple()),
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": 1_700_000_000,
            "livemode": false,
            "data": {"object": {
                "id": "pi_unreadable",
                "object": "payment_intent",
                "amount": "a lot",
                "metadata": {"till_deployment": "some", "till_session": self.id()},
            }},
        });
        self.deliver(&event).await;
        let id = event["id"].as_str().expect("an id");
        let kept = format!("SELECT verdict FROM provider_event WHERE event_id = '{id}'");
        assert_eq!(self.phoenix.sandbox.texts(&kept).await, ["pending"]);
    }
}
