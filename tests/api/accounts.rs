//! Processes with the keys of different provider accounts on one database: each is asked about and told only what is its
//! account's.

use serde_json::json;
use till::domain::resolution::Resolution;
use till::service::error::Refusal;
use till::service::{ServiceError, Services};
use till::store::settle::{Settle, Source};

use crate::harness::TestApp;
use crate::harness::actor::fresh_key;
use crate::staff_reviews::{clerk, form, holding};

fn refusal<T: std::fmt::Debug>(outcome: Result<T, ServiceError>) -> Refusal {
    match outcome {
        Err(ServiceError::Refused { code, .. }) => code,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_at_one_account_is_never_done_with_the_key_of_another() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    // Carried out, and nobody knows: with another account's key it would look as if there were nothing to give back.
    app.fault(json!({"on": "refund.create", "do": "timeout_after_commit"}))
        .await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let refund = shop.post(&path, &json!({})).await.expect(202);
    let open = shop.payable().await;
    app.pay(&open).await;
    let mut unknown = app
        .provider_event("checkout.session.completed", &open)
        .await;
    unknown["data"]["object"]["status"] = json!("upside_down");
    app.deliver(&unknown).await.expect(200);
    let (reserved, _) = shop.reserved(&app).await;
    app.advance(7 * 3_600).await;

    let other = app.process_of_another_account().await;
    assert_ne!(other.account.id, app.services.account.id);
    let rounds = [
        other.send_due_calls().await,
        other.poll_due_sessions().await,
        other.poll_due_payments().await,
        other.retry_due_events().await,
    ];
    for done in rounds {
        assert_eq!(done.expect("a round"), 0);
    }
    let session = open.session.parse().expect("an id");
    let session = other.store.any_session(session).await.expect("a session");
    let refreshed = other.refresh_session(&session.expect("a session")).await;
    assert!(!refreshed.expect("no answer"));
    let payment = shop.payment_of(&reserved.order).await;
    let payment = payment["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an id");
    let refused = other.refresh_payment(payment).await;
    assert_eq!(refusal(refused), Refusal::ModeMismatch);
    let call = format!(
        "SELECT id FROM provider_call WHERE subject_id = '{}'",
        refund.str("id")
    );
    let call = app.texts(&call).await.remove(0).parse().expect("an id");
    let shop_id = app.texts("SELECT id FROM shop").await.remove(0);
    let shop_id = shop_id.parse().expect("an id");
    let retried = other.retry_call(shop_id, call).await;
    assert_eq!(refusal(retried), Refusal::ModeMismatch);
    other.store.close().await.expect("closes");

    app.work().await;
    assert_eq!(shop.refunds_of(&paid.order).await[0]["status"], "succeeded");
    assert_eq!(shop.order(&open.order).await["payment_status"], "paid");
    assert_eq!(app.effects("refund.created").await.len(), 1);
    app.finish().await;
}

/// What a process settles of which nothing new is known; it gives back what is no order's.
fn looked_at(services: &Services, app: &TestApp, order: &str) -> Settle {
    Settle {
        account: services.account.clone(),
        deployment: services.deployment.clone(),
        trace: till::domain::access::Trace::system(),
        source: Source::Closing {
            shop: app.shop.id,
            order: order.parse().expect("an order's id"),
        },
        observed: Vec::new(),
        drafts: Vec::new(),
        follow_ups: services.follow_ups(),
        auto_refund: true,
        waiting: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_is_asked_of_the_account_that_has_the_money() {
    let app = holding().await;
    let shop = app.merchant().await;
    let (paid, _, duplicate) = shop.paid_twice(&app).await;
    let other = app.process_of_another_account().await;
    // Whose shop it is not cannot decide about its money.
    let clerk = clerk(&app);
    let wanted = form(&app, &clerk, &paid.order, Resolution::Accept).await;
    let decided = other.resolve(&clerk, &fresh_key(), &wanted).await;
    assert_eq!(refusal(decided), Refusal::ModeMismatch);
    let settled = looked_at(&other, &app, &paid.order);
    other.store.settle(&settled).await.expect("settled");
    other.store.close().await.expect("closes");
    app.work().await;
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["payment_id"], duplicate["id"]);
    assert_eq!(refunds[0]["status"], "succeeded", "{}", refunds[0]);
    let accounts = "SELECT DISTINCT provider_account_id FROM refund UNION \
                    SELECT provider_account_id FROM provider_call";
    assert_eq!(
        app.texts(accounts).await,
        [app.services.account.id.to_string()]
    );
    app.finish().await;
}
