//! What happens to money: paying, expiry, capture, refunds, disputes.
use serde_json::{Value, json};

use super::harness::{Bench, items, text};

#[tokio::test]
async fn a_declined_session_stays_open_and_can_be_paid() {
    let bench = Bench::start().await;
    let id = bench.session().await;
    let declined = bench
        .control(&format!("/sessions/{id}/decline"), json!({}))
        .await;
    assert_eq!(declined["status"], "open");
    let intent = format!("/v1/payment_intents/{}", text(&declined["payment_intent"]));
    let (_, body) = bench.get(&intent).await;
    assert_eq!(body["status"], "requires_payment_method");
    assert_eq!(
        body["last_payment_error"]["decline_code"],
        "generic_decline"
    );
    assert_eq!(bench.post(&format!("{intent}/cancel"), "").await.0, 400);

    let paid = bench
        .control(&format!("/sessions/{id}/pay"), json!({}))
        .await;
    assert_eq!(
        (&paid["status"], &paid["payment_status"]),
        (&json!("complete"), &json!("paid"))
    );
    assert_eq!(paid["payment_intent"], declined["payment_intent"]);
    let (_, body) = bench.get(&intent).await;
    assert_eq!(
        (&body["status"], &body["amount_received"]),
        (&json!("succeeded"), &json!(2100))
    );
    assert_eq!(body["metadata"], json!({ "order": "o_1" }));
    let wanted = [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ];
    assert_eq!(bench.events().await, wanted);
    let (status, body) = bench
        .post(&format!("/v1/checkout/sessions/{id}/expire"), "")
        .await;
    assert_eq!(status, 400);
    assert!(text(&body["error"]["message"]).contains("status of \"complete\""));
    bench.simulator.stop().await;
}

#[tokio::test]
async fn sessions_and_authorisations_lapse_with_simulated_time() {
    let bench = Bench::start().await;
    let id = bench.session().await;
    let manual = "&payment_intent_data[capture_method]=manual";
    let (_, intent, _) = bench.paid(manual).await;
    bench
        .control("/clock/advance", json!({ "seconds": 86_400 }))
        .await;
    let (_, session) = bench.get(&format!("/v1/checkout/sessions/{id}")).await;
    assert_eq!(
        (&session["status"], &session["url"]),
        (&json!("expired"), &Value::Null)
    );
    bench
        .control("/clock/advance", json!({ "seconds": 7 * 86_400 }))
        .await;
    let (_, body) = bench.get(&format!("/v1/payment_intents/{intent}")).await;
    assert_eq!(body["status"], "canceled");
    let events = bench.events().await;
    let tail = &events[events.len() - 3..];
    assert_eq!(
        tail,
        [
            "checkout.session.expired",
            "charge.expired",
            "payment_intent.canceled"
        ]
    );
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_manual_payment_is_captured_in_part_once() {
    let bench = Bench::start().await;
    let manual = "&payment_intent_data[capture_method]=manual";
    let (session, intent, charge) = bench.paid(manual).await;
    let (_, body) = bench.get(&format!("/v1/checkout/sessions/{session}")).await;
    assert_eq!(
        (&body["status"], &body["payment_status"]),
        (&json!("complete"), &json!("unpaid"))
    );
    let path = format!("/v1/payment_intents/{intent}/capture");
    assert_eq!(bench.post(&path, "amount_to_capture=2101").await.0, 400);
    let (status, body) = bench.post(&path, "amount_to_capture=2000").await;
    assert_eq!(
        (status, &body["amount_received"]),
        (200, &json!(2000)),
        "{body}"
    );
    let (status, body) = bench.post(&path, "").await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["code"], "payment_intent_unexpected_state");
    let (status, body) = bench
        .post("/v1/refunds", &format!("charge={charge}&amount=2001"))
        .await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("amount")));
    let (_, other, _) = bench.paid(manual).await;
    let cancel = format!("/v1/payment_intents/{other}/cancel");
    let (_, body) = bench.post(&cancel, "cancellation_reason=abandoned").await;
    assert_eq!(body["status"], "canceled");
    assert_eq!(
        bench
            .post("/v1/refunds", &format!("payment_intent={other}"))
            .await
            .0,
        400
    );
    bench.simulator.stop().await;
}

#[tokio::test]
async fn refunds_never_exceed_the_payment_and_can_fail_late() {
    let bench = Bench::start().await;
    let (_, intent, charge) = bench.paid("").await;
    let form = format!("payment_intent={intent}&amount=1500&metadata[refund]=r1");
    let (status, refund) = bench.post("/v1/refunds", &form).await;
    assert_eq!((status, &refund["status"]), (200, &json!("succeeded")));
    let (status, body) = bench.post("/v1/refunds", &form).await;
    assert_eq!(status, 400, "{body}");
    let by_hand = format!("/payment_intents/{intent}/refund");
    let second = bench.control(&by_hand, json!({})).await;
    assert_eq!(
        (&second["amount"], &second["metadata"]),
        (&json!(600), &json!({}))
    );
    let (_, body) = bench.get(&format!("/v1/charges/{charge}")).await;
    assert_eq!(
        (&body["refunded"], &body["amount_refunded"]),
        (&json!(true), &json!(2100))
    );
    let (_, body) = bench.post("/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!(body["error"]["code"], "charge_already_refunded");

    let failed = format!("/refunds/{}/fail", text(&refund["id"]));
    let failed = bench.control(&failed, json!({})).await;
    assert_eq!(failed["status"], "failed");
    let (_, body) = bench.get(&format!("/v1/charges/{charge}")).await;
    assert_eq!(
        (&body["refunded"], &body["amount_refunded"]),
        (&json!(false), &json!(600))
    );
    let (_, list) = bench
        .get(&format!("/v1/refunds?payment_intent={intent}"))
        .await;
    assert_eq!(items(&list).len(), 2);

    bench
        .control("/settings", json!({ "refunds": "pending" }))
        .await;
    let (_, pending) = bench
        .post("/v1/refunds", &format!("charge={charge}&amount=1"))
        .await;
    assert_eq!(pending["status"], "pending");
    let succeed = format!("/refunds/{}/succeed", text(&pending["id"]));
    assert_eq!(
        bench.control(&succeed, json!({})).await["status"],
        "succeeded"
    );
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_dispute_withdraws_the_money_and_returns_it_when_won() {
    let bench = Bench::start().await;
    let (session, _, charge) = bench.paid("").await;
    let dispute = bench
        .control(&format!("/sessions/{session}/dispute"), json!({}))
        .await;
    assert_eq!(
        (&dispute["status"], &dispute["charge"]),
        (&json!("needs_response"), &json!(charge))
    );
    let (_, body) = bench.post("/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!(body["error"]["code"], "charge_disputed");
    let id = text(&dispute["id"]);
    bench
        .control(&format!("/disputes/{id}/submit"), json!({}))
        .await;
    bench
        .control(
            &format!("/disputes/{id}/close"),
            json!({ "outcome": "won" }),
        )
        .await;
    let (_, body) = bench.get(&format!("/v1/disputes/{id}")).await;
    assert_eq!(body["status"], "won");
    let movements = body["balance_transactions"].as_array().expect("an array");
    let net: i64 = movements.iter().filter_map(|row| row["net"].as_i64()).sum();
    assert_eq!((movements.len(), net), (2, 0));
    let events = bench.events().await;
    let wanted = [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ];
    assert_eq!(events[events.len() - 5..], wanted);

    let (_, _, charge) = bench.paid("").await;
    let open = format!("/charges/{charge}/dispute");
    let inquiry = bench.control(&open, json!({ "inquiry": true })).await;
    assert_eq!(inquiry["status"], "warning_needs_response");
    let close = format!("/disputes/{}/close", text(&inquiry["id"]));
    bench
        .control(&close, json!({ "outcome": "warning_closed" }))
        .await;
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_slow_method_is_settled_later() {
    let bench = Bench::start().await;
    for (outcome, status, paid) in [
        ("succeeded", "succeeded", "paid"),
        ("failed", "requires_payment_method", "unpaid"),
    ] {
        let id = bench.session().await;
        let path = format!("/sessions/{id}");
        let body = bench
            .control(&format!("{path}/pay"), json!({ "method": "delayed" }))
            .await;
        assert_eq!(
            (&body["status"], &body["payment_status"]),
            (&json!("complete"), &json!("unpaid"))
        );
        let body = bench
            .control(&format!("{path}/settle"), json!({ "outcome": outcome }))
            .await;
        assert_eq!(body["payment_status"], paid);
        let intent = text(&body["payment_intent"]);
        let (_, body) = bench.get(&format!("/v1/payment_intents/{intent}")).await;
        assert_eq!(body["status"], status);
        let last = bench.events().await.pop();
        assert_eq!(
            last,
            Some(format!("checkout.session.async_payment_{outcome}"))
        );
    }
    bench.simulator.stop().await;
}
