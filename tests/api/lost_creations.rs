//! Goal: a session whose creation was never answered is looked for at the provider once its key is no longer
//! safe, and what is found is believed. Method: the answer is lost, the clock turned past 23 hours.

use serde_json::{Value, json};

use crate::harness::actor::{checkout_body, fresh_key};
use crate::harness::{Actor, Setup, TestApp};

const KEY_SAFE_S: i64 = 23 * 3_600;
const MADE: &str = "SELECT outcome FROM provider_attempt ORDER BY number";

/// An order that lives for days, and its checkout.
struct Lost {
    app: TestApp,
    shop: Actor,
    order: String,
    session: String,
    key: String,
}

/// The first try to create the session went like this, and there was no other for 23 hours.
async fn lost(first_try: &str) -> Lost {
    let app = TestApp::with(Setup {
        workers: false,
        webhooks: false,
        timeout_ms: Some(1_000),
        settings: vec![("orders.expire_after_s", 432_000.into())],
        ..Setup::default()
    })
    .await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    app.fault(json!({"on": "checkout.session.create", "do": first_try}))
        .await;
    let key = fresh_key();
    let mut lost = Lost {
        app,
        shop,
        order,
        session: String::new(),
        key,
    };
    let open = lost.check_out_again().await.expect(202);
    lost.session = open.str("id").to_owned();
    lost.app.heal().await;
    lost
}

impl Lost {
    /// The same request with the same key.
    async fn check_out_again(&self) -> crate::harness::Answer {
        let path = format!("/v1/orders/{}/checkout_sessions", self.order);
        let body = checkout_body();
        self.shop.post_with_key(&path, &self.key, &body).await
    }

    /// The provider's id of the session it made.
    async fn made(&self) -> String {
        let made = self.app.effects("checkout.session.created").await;
        made[0]["object_id"].as_str().expect("an id").to_owned()
    }

    async fn passes(&self, seconds: i64) {
        self.app.advance(seconds).await;
        self.app.work().await;
    }

    async fn session(&self) -> Value {
        self.shop.session(&self.session).await
    }

    async fn listed(&self) -> usize {
        self.app.requests("checkout.session.list").await.len()
    }

    async fn created(&self) -> usize {
        self.app.requests("checkout.session.create").await.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_made_after_all_is_found_by_our_marks() {
    let lost = lost("reset_mid_response").await;
    // On the second page of a hundred: other orders' sessions, made later.
    for _ in 0..101 {
        lost.shop.payable().await;
    }
    lost.passes(KEY_SAFE_S + 1).await;
    let session = lost.session().await;
    assert_eq!(session["status"], "open");
    assert_eq!(session["provider_session_id"], lost.made().await);
    assert!(session["url"].is_string());
    assert_eq!(lost.listed().await, 2);
    assert_eq!(lost.created().await, 102, "the bytes are not sent again");
    let attempts = "SELECT a.outcome FROM provider_attempt a JOIN provider_call c ON c.id = a.provider_call_id";
    let attempts = format!(
        "{attempts} WHERE c.order_id = '{}' ORDER BY number",
        lost.order
    );
    assert_eq!(lost.app.texts(&attempts).await[1..], ["found_done"]);
    // The first request has its last word, and the customer can pay.
    let answer = lost.check_out_again().await.expect(201);
    assert_eq!(answer.json["url"], session["url"]);
    let pay = format!("sessions/{}/pay", lost.made().await);
    lost.app.simulate(&pay, &json!({})).await;
    lost.passes(1_800).await;
    assert_eq!(lost.shop.order(&lost.order).await["payment_status"], "paid");
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_that_was_paid_is_found_with_its_money() {
    let lost = lost("timeout_after_commit").await;
    let pay = format!("sessions/{}/pay", lost.made().await);
    lost.app.simulate(&pay, &json!({})).await;
    lost.passes(KEY_SAFE_S + 1).await;
    assert_eq!(lost.session().await["status"], "complete");
    let order = lost.shop.order(&lost.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert!(order["review"].is_null());
    assert_eq!(
        lost.app.balances(&lost.order).await,
        ["provider_clearing EUR 2500", "sales EUR -2500"]
    );
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_found_session_is_compared_with_what_was_asked_for() {
    let lost = lost("reset_mid_response").await;
    let wrong = json!({"on": "checkout.session.retrieve", "do": "wrong_amount"});
    lost.app.fault(wrong).await;
    lost.passes(KEY_SAFE_S + 1).await;
    let session = lost.session().await;
    assert_eq!(session["status"], "failed");
    assert!(session["url"].is_null());
    // Asked, and answered once it had been ended at the provider.
    assert_eq!(
        lost.app.reviews(&lost.order).await,
        ["amount_mismatch resolved system"]
    );
    assert_eq!(
        lost.app.effects("checkout.session.expired").await.len(),
        1,
        "nobody may pay it"
    );
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_the_provider_never_made_makes_room_for_another() {
    let lost = lost("status:503").await;
    let refused = json!({"on": "checkout.session.create", "do": "status:503", "times": "always"});
    lost.app.fault(refused).await;
    // Sent again and again, the last time before the key could be forgotten, and looked for right after that.
    while lost.listed().await == 0 {
        assert_eq!(lost.session().await["status"], "creating");
        lost.passes(600).await;
    }
    let age = "SELECT MAX(finished_at) - MAX(created_at) FROM provider_call";
    let age_s = lost.app.count(age).await / 1_000;
    assert!((KEY_SAFE_S..KEY_SAFE_S + 600).contains(&age_s), "{age_s} s");
    assert_eq!(lost.session().await["status"], "failed");
    let attempts = lost.app.texts(MADE).await;
    assert_eq!(attempts.last().map(String::as_str), Some("found_not_done"));
    assert!(lost.shop.order(&lost.order).await["review"].is_null());
    lost.check_out_again()
        .await
        .problem(502, "provider_rejected");
    lost.app.heal().await;
    let second = lost.shop.check_out(&lost.order).await.expect(201);
    assert_ne!(second.str("id"), lost.session);
    assert_eq!(lost.app.effects("checkout.session.created").await.len(), 1);
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_session_with_our_id_is_not_ours() {
    let lost = lost("status:503").await;
    let form = format!(
        "mode=payment&success_url=https://a.example/&line_items[0][quantity]=1\
         &line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=2500\
         &line_items[0][price_data][product_data][name]=Mug\
         &metadata[till_deployment]=another&metadata[till_session]={}",
        lost.session
    );
    let made = lost
        .app
        .http
        .post(format!("{}/v1/checkout/sessions", lost.app.simulator_url))
        .header("Authorization", "Bearer sk_test_apart")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form)
        .send();
    assert_eq!(made.await.expect("an answer").status().as_u16(), 200);
    lost.passes(KEY_SAFE_S + 1).await;
    assert_eq!(lost.session().await["status"], "failed");
    assert!(lost.app.reviews(&lost.order).await.is_empty());
    assert!(
        lost.app
            .requests("checkout.session.expire")
            .await
            .is_empty()
    );
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_does_not_show_its_list_nothing_is_given_up() {
    for fault in ["status:503", "status:429", "garbage", "truncate"] {
        let lost = lost("reset_mid_response").await;
        let always = json!({"on": "checkout.session.list", "do": fault, "times": "always"});
        lost.app.fault(always).await;
        lost.passes(KEY_SAFE_S + 1).await;
        assert_eq!(lost.listed().await, 1, "{fault}");
        lost.passes(590).await;
        assert_eq!(lost.listed().await, 1, "{fault}: asked too early");
        lost.passes(20).await;
        assert_eq!(lost.listed().await, 2, "{fault}");
        assert_eq!(lost.session().await["status"], "creating", "{fault}");
        let order = lost.shop.order(&lost.order).await;
        assert!(order["review"].is_null(), "{fault}");
        lost.app.heal().await;
        lost.passes(610).await;
        assert_eq!(lost.session().await["status"], "open", "{fault}");
        lost.app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_two_days_without_a_list_people_are_told_and_it_is_asked_on() {
    let lost = lost("reset_mid_response").await;
    let always = json!({"on": "checkout.session.list", "do": "status:503", "times": "always"});
    lost.app.fault(always).await;
    let review = async || lost.shop.order(&lost.order).await["review"].clone();
    lost.passes(KEY_SAFE_S + 1).await;
    while review().await.is_null() {
        lost.passes(1_800).await;
        assert_eq!(lost.session().await["status"], "creating");
    }
    let age = "SELECT MAX(review_at) - MAX(created_at) FROM provider_call";
    let age_h = lost.app.count(age).await / 3_600_000;
    assert!((48..50).contains(&age_h), "{age_h} h");
    assert_eq!(review().await, "outcome_unknown");
    // The provider has it, expired by now: nobody can have paid it, and a new checkout is possible.
    lost.app.heal().await;
    lost.passes(86_401).await;
    assert_eq!(lost.session().await["status"], "expired");
    assert!(review().await.is_null());
    assert_eq!(lost.created().await, 1);
    lost.shop.check_out(&lost.order).await.expect(201);
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_list_sessions_is_peoples_business_at_once() {
    let mut lost = lost("reset_mid_response").await;
    let always = json!({"on": "checkout.session.list", "do": "status:403", "times": "always"});
    lost.app.fault(always).await;
    lost.passes(KEY_SAFE_S + 1).await;
    assert_eq!(lost.session().await["status"], "creating");
    assert_eq!(
        lost.shop.order(&lost.order).await["review"],
        "outcome_unknown"
    );
    lost.app.expect_open_calls();
    lost.app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_session_was_ended_is_told_by_the_session() {
    let lost = lost("status:429").await;
    lost.passes(5).await;
    assert_eq!(lost.session().await["status"], "open");
    let always =
        json!({"on": "checkout.session.expire", "do": "reset_mid_response", "times": "always"});
    lost.app.fault(always).await;
    let path = format!("/v1/checkout_sessions/{}/expire", lost.session);
    lost.shop.post(&path, &json!({})).await.expect(202);
    lost.passes(KEY_SAFE_S + 1).await;
    assert_eq!(lost.session().await["status"], "expired");
    let ended = "SELECT status FROM provider_call WHERE kind = 'session_expire'";
    assert_eq!(lost.app.texts(ended).await, ["succeeded"]);
    assert_eq!(lost.app.requests("checkout.session.expire").await.len(), 1);
    lost.app.finish().await;
}
