//! Refunds whose answer was lost: when one counts as never made, and what an answer that comes in the end is of.

use serde_json::json;
use till::store::Engine;

use crate::harness::story::provider_that_says;
use crate::harness::{Actor, TestApp};

/// A paid order of which 5.00 EUR are to go back, by a provider that never says whether they did.
async fn unanswered(app: &TestApp, shop: &Actor) -> String {
    unanswered_by(app, shop, shop).await
}

/// The same, asked for by `asks`.
async fn unanswered_by(app: &TestApp, shop: &Actor, asks: &Actor) -> String {
    let (paid, _) = shop.paid(app).await;
    app.fault(json!({"on": "refund.create", "do": "status:503", "times": "always"}))
        .await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let asked = asks.post(&path, &json!({"amount": "5.00"})).await;
    asked.expect(202);
    paid.order
}

/// What a list does not show may only not be shown yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_counts_as_never_made_only_at_the_second_look() {
    const TRIES: &str = "SELECT outcome FROM provider_attempt a JOIN provider_call c \
                         ON c.id = a.provider_call_id WHERE c.kind = 'refund_create' ORDER BY a.number";
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = unanswered(&app, &shop).await;
    let mut looks = Vec::new();
    for (seconds, status, last) in [
        (23 * 3_600 + 60, "pending", "not_looked_up"),
        (3_600, "pending", "not_found_yet"),
        (1_800, "pending", "not_found_yet"),
        (1_860, "failed", "found_not_done"),
    ] {
        app.advance(seconds).await;
        app.work().await;
        let refund = shop.refunds_of(&order).await.remove(0);
        looks.push((refund["status"].clone(), status));
        let tries = app.texts(TRIES).await;
        assert_eq!(tries.last().map(String::as_str), Some(last), "{tries:?}");
    }
    for (seen, expected) in looks {
        assert_eq!(seen, expected);
    }
    app.finish().await;
}

/// Whoever looks again at once learns nothing: a list that lags now still does.
#[tokio::test(flavor = "multi_thread")]
async fn however_soon_somebody_looks_again_a_missing_refund_counts_only_after_an_hour() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = unanswered(&app, &shop).await;
    let status = async || shop.refunds_of(&order).await.remove(0)["status"].clone();
    app.advance(24 * 3_600 + 60).await;
    app.work().await;
    let call = "SELECT id FROM provider_call WHERE kind = 'refund_create'";
    let call = app.texts(call).await.remove(0).parse().expect("an id");
    for _ in 0..2 {
        let tried = app.services.retry_call(app.shop.id, call).await;
        tried.expect("it is looked for");
        assert_eq!(status().await, "pending");
    }
    // An outage that ends makes all due that wait.
    app.advance(1_800).await;
    let account = app.services.account.id;
    let woken = app.services.store.wake_calls(account).await;
    assert_eq!(woken.expect("woken"), 1);
    app.work().await;
    assert_eq!(status().await, "pending");
    app.advance(1_860).await;
    app.work().await;
    assert_eq!(status().await, "failed");
    app.finish().await;
}

/// A key is forgotten after a day, whatever the clocks of those say who ask for the refund and who repeat it. On SQLite all
/// is one machine.
#[tokio::test(flavor = "multi_thread")]
async fn how_old_a_refund_is_no_machine_judges_by_its_own_clock() {
    for minutes in [-90, 90] {
        let app = TestApp::quiet().await;
        if app.services.store.engine() == Engine::Sqlite {
            return app.finish().await;
        }
        let shop = app.merchant().await;
        let other = app.process_wrong_by(minutes).await;
        let front = app.serve(other.clone()).await;
        let elsewhere = shop.at(&format!("http://{}", front.address()));
        for (asks, repeats) in [(&shop, &other), (&elsewhere, &app.services)] {
            unanswered_by(&app, &shop, asks).await;
            let sent = app.requests("refund.create").await.len();
            app.advance(22 * 3_600 + 1_800).await;
            repeats.send_due_calls().await.expect("a round");
            let again = app.requests("refund.create").await.len();
            assert_eq!(again, sent + 1, "{minutes} min: half an hour is left");
            app.advance(3_600).await;
            repeats.send_due_calls().await.expect("a round");
            let late = app.requests("refund.create").await.len();
            assert_eq!(late, again, "{minutes} min: its time is up");
            app.heal().await;
            app.advance(4 * 3_600).await;
            app.work().await;
            app.advance(2 * 3_600).await;
            app.work().await;
        }
        front.stop();
        other.store.close().await.expect("closes");
        app.finish().await;
    }
}

/// A provider that makes every refund, and does not say of whom it was asked for.
async fn forgetful_provider(intent: &str) -> String {
    let refund = json!({
        "id": "re_bare", "object": "refund", "amount": 500, "currency": "eur", "payment_intent": intent,
        "charge": null, "status": "succeeded", "created": 1_790_000_000, "metadata": {},
    });
    let body = refund.to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    provider_that_says(answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_a_refund_of_ours_is_that_refund_with_or_without_our_marks() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = unanswered(&app, &shop).await;
    let payment = shop.payment_of(&order).await;
    let intent = payment["provider_payment_id"].as_str().expect("an id");
    let other = app.process_at(&forgetful_provider(intent).await).await;
    app.advance(60).await;
    assert_eq!(other.send_due_calls().await.expect("a round"), 1);
    other.store.close().await.expect("closes");
    let refunds = shop.refunds_of(&order).await;
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!(refunds[0]["status"], "succeeded");
    assert_eq!(refunds[0]["provider_refund_id"], "re_bare");
    let order = shop.order(&order).await;
    assert_eq!(order["amount_refunded"], "5.00", "{order}");
    app.finish().await;
}
