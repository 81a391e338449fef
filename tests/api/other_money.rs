//! Money with our marks that came through a session Till did not make: it ends as a fact, in suspense, with a question,
//! and what our own session says is no answer about it. The sessions are copies of ours at the provider. And money of
//! one order that a webhook calls another's.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use till::domain::verify::Check;
use till::service::replay::ReplayOutcome;

use crate::harness::{Payable, TestApp, eventually};

const COMPLETED: &str = "checkout.session.completed";
const SUCCEEDED: &str = "payment_intent.succeeded";

/// A second session with the marks of ours, for another amount, paid; the provider's ids of it and of its intent.
pub async fn paid_copy(
    app: &TestApp,
    ours: &Payable,
    minor: &str,
    currency: &str,
) -> (String, String) {
    let (session, _) = copy(app, ours, minor, currency).await;
    let paid = app
        .simulate(&format!("sessions/{session}/pay"), &json!({}))
        .await;
    let intent = paid["payment_intent"].as_str().expect("an intent");
    (session, intent.to_owned())
}

async fn copy(app: &TestApp, ours: &Payable, minor: &str, currency: &str) -> (String, Value) {
    let sessions = format!("{}/v1/checkout/sessions", app.simulator_url);
    let ask = app.http.get(format!("{sessions}/{}", ours.at_provider));
    let answer = ask.bearer_auth("sk_test_harness").send().await;
    let shown: Value = answer.expect("an answer").json().await.expect("JSON");
    // An address writes a form for us.
    let mut address = reqwest::Url::parse("http://form.example/").expect("an address");
    let mut form = address.query_pairs_mut();
    form.append_pair("mode", "payment");
    form.append_pair("success_url", "https://shop.example/thanks");
    form.append_pair("line_items[0][quantity]", "1");
    let price = "line_items[0][price_data]";
    form.append_pair(&format!("{price}[currency]"), currency);
    form.append_pair(&format!("{price}[unit_amount]"), minor);
    form.append_pair(&format!("{price}[product_data][name]"), "Two mugs");
    for prefix in ["metadata", "payment_intent_data[metadata]"] {
        for (name, value) in shown["metadata"].as_object().expect("marks") {
            let value = value.as_str().expect("a text");
            form.append_pair(&format!("{prefix}[{name}]"), value);
        }
    }
    drop(form);
    let form = address.query().unwrap_or_default().to_owned();
    let ask = app.http.post(sessions).bearer_auth("sk_test_harness");
    let ask = ask.header("content-type", "application/x-www-form-urlencoded");
    let answer = ask.body(form).send().await.expect("an answer");
    let made: Value = answer.json().await.expect("JSON");
    let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}"));
    (id.to_owned(), made)
}

/// The newest event of a type whose object has this id, or belongs to it.
pub async fn event_of(app: &TestApp, kind: &str, id: &str) -> Value {
    let mut events = app.provider_events(kind).await;
    events.retain(|event| {
        let object = &event["data"]["object"];
        [&object["id"], &object["payment_intent"], &object["charge"]].contains(&&json!(id))
    });
    events
        .pop()
        .unwrap_or_else(|| panic!("no {kind} about {id}"))
}

async fn in_suspense(app: &TestApp, ours: &Payable, minor: i64, currency: &str, reason: &str) {
    let shop = app.merchant().await;
    let order = shop.order(&ours.order).await;
    assert_eq!(order["payment_status"], "unpaid", "{order}");
    assert_eq!(order["review"], reason, "{order}");
    assert_eq!(app.reviews(&ours.order).await, [format!("{reason} open")]);
    assert_eq!(
        app.balances(&ours.order).await,
        [
            format!("provider_clearing {currency} {minor}"),
            format!("suspense {currency} -{minor}")
        ]
    );
    let payment = shop.payment_of(&ours.order).await;
    assert_eq!(payment["status"], "captured", "{payment}");
    assert_eq!(payment["currency"], currency, "{payment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_a_session_till_did_not_make_waits_in_suspense() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for (minor, currency, reason) in [
        (2_499, "EUR", "amount_mismatch"),
        (2_500, "USD", "currency_mismatch"),
    ] {
        for kind in [COMPLETED, SUCCEEDED] {
            for by_hand in [false, true] {
                let ours = shop.payable().await;
                let wire = currency.to_lowercase();
                let (session, intent) = paid_copy(&app, &ours, &minor.to_string(), &wire).await;
                let about = if kind == COMPLETED { &session } else { &intent };
                let event = event_of(&app, kind, about).await;
                app.deliver(&event).await.expect(200);
                assert_eq!(app.verdict(&event).await, format!("quarantined {reason}"));
                if by_hand {
                    let id = event["id"].as_str().expect("an id");
                    let replayed = app.services.replay(id, false).await.expect("a replay");
                    assert_eq!(replayed.outcome, ReplayOutcome::Applied, "{replayed:?}");
                } else {
                    app.services.retry_due_events().await.expect("a round");
                }
                assert_eq!(app.verdict(&event).await, "applied");
                in_suspense(&app, &ours, minor, currency, reason).await;
                // Our own session is still what it was, and its page the one that is offered.
                let kept = shop.session(&ours.session).await;
                assert_eq!(kept["status"], "open", "{kept}");
                assert_eq!(kept["provider_session_id"], ours.at_provider.as_str());
                assert!(
                    kept["url"]
                        .as_str()
                        .is_some_and(|url| url.contains(&ours.at_provider)),
                    "{kept}"
                );
            }
        }
    }
    app.finish().await;
}

/// Events that wait are tried until they know of each other.
async fn tried_again(app: &TestApp) {
    for _ in 0..3 {
        app.advance(120).await;
        app.services.retry_due_events().await.expect("a round");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_such_money_is_known_even_when_it_is_heard_of_first() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    // The bank takes it: the dispute names a payment nobody has told of.
    let ours = shop.payable().await;
    let (session, intent) = paid_copy(&app, &ours, "2499", "eur").await;
    let act = format!("sessions/{session}/dispute");
    app.simulate(&act, &json!({"amount": 1_000})).await;
    let event = event_of(&app, "charge.dispute.created", &intent).await;
    app.deliver(&event).await.expect(200);
    tried_again(&app).await;
    assert_eq!(app.verdict(&event).await, "applied");
    assert_eq!(
        app.balances(&ours.order).await,
        [
            "disputes_held EUR 1000",
            "provider_clearing EUR 1499",
            "suspense EUR -2499"
        ]
    );
    let reviews = app.reviews(&ours.order).await;
    assert_eq!(reviews, ["amount_mismatch open", "dispute open"]);

    // Somebody gives it back at the provider.
    let ours = shop.payable().await;
    let (_, intent) = paid_copy(&app, &ours, "2499", "eur").await;
    let act = format!("payment_intents/{intent}/refund");
    app.simulate(&act, &json!({"amount": 499})).await;
    let event = event_of(&app, "refund.created", &intent).await;
    app.deliver(&event).await.expect(200);
    tried_again(&app).await;
    assert_eq!(app.verdict(&event).await, "applied");
    assert_eq!(
        app.balances(&ours.order).await,
        ["provider_clearing EUR 2000", "suspense EUR -2000"]
    );
    assert_eq!(app.reviews(&ours.order).await, ["amount_mismatch open"]);
    assert_eq!(shop.refunds_of(&ours.order).await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sessions_paid_is_one_payment_and_one_question() {
    let app = TestApp::listening().await;
    let shop = app.merchant().await;
    let ours = shop.payable().await;
    paid_copy(&app, &ours, "2499", "eur").await;
    eventually("the copy's money is known", async || {
        app.services.retry_due_events().await.expect("a round");
        !app.balances(&ours.order).await.is_empty()
    })
    .await;
    app.pay(&ours).await;
    eventually("the order is paid", async || {
        shop.order(&ours.order).await["payment_status"] == "paid"
    })
    .await;
    assert_eq!(
        app.balances(&ours.order).await,
        [
            "provider_clearing EUR 4999",
            "sales EUR -2500",
            "suspense EUR -2499"
        ]
    );
    assert_eq!(app.reviews(&ours.order).await, ["amount_mismatch open"]);
    assert_eq!(shop.session(&ours.session).await["status"], "complete");
    app.finish().await;
}

/// What becomes of a copy nobody pays says nothing of ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_another_session_does_not_end_ours() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for minor in ["2499", "2500"] {
        let ours = shop.payable().await;
        let (session, _) = copy(&app, &ours, minor, "eur").await;
        let act = format!("sessions/{session}/expire");
        app.simulate(&act, &json!({})).await;
        let event = event_of(&app, "checkout.session.expired", &session).await;
        app.deliver(&event).await.expect(200);
        app.services.retry_due_events().await.expect("a round");
        let kept = shop.session(&ours.session).await;
        assert_eq!(kept["status"], "open", "{minor} {kept}");
        assert!(shop.order(&ours.order).await["review"].is_null(), "{minor}");
        // Paid without a word from the provider, it is found by asking.
        app.pay(&ours).await;
        app.advance(3_600).await;
        app.work().await;
        let order = shop.order(&ours.order).await;
        assert_eq!(order["payment_status"], "paid", "{minor} {order}");
    }
    app.finish().await;
}

/// The copy asks for the same amount, so its money is the order's; ours can still be paid, and nobody tells when it is.
#[tokio::test(flavor = "multi_thread")]
async fn our_session_is_asked_about_until_it_is_over_whatever_else_was_paid() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let ours = shop.payable().await;
    let (_, intent) = paid_copy(&app, &ours, "2500", "eur").await;
    let event = event_of(&app, SUCCEEDED, &intent).await;
    app.deliver(&event).await.expect(200);
    assert_eq!(shop.order(&ours.order).await["payment_status"], "paid");
    app.pay(&ours).await;
    app.advance(3_600).await;
    app.work().await;
    // Money that came twice goes back by itself, which it only can once it is known.
    assert_eq!(app.effects("refund.created").await.len(), 1);
    assert_eq!(
        app.balances(&ours.order).await,
        [
            "provider_clearing EUR 2500",
            "sales EUR -2500",
            "suspense EUR 0"
        ]
    );
    let asked = "SELECT COUNT(*) FROM checkout_session WHERE next_poll_at IS NOT NULL";
    assert_eq!(app.count(asked).await, 0, "it is over");
    app.finish().await;
}

/// The event says one order, the object itself another: that one gets its money, and the question stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_belongs_to_whoever_it_names_itself() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let asked = shop.payable().await;
    let theirs = shop.payable().await;
    app.pay(&theirs).await;
    let mut event = app.provider_event(SUCCEEDED, &theirs).await;
    let object = &mut event["data"]["object"];
    object["amount"] = json!(9_999);
    object["amount_received"] = json!(9_999);
    object["metadata"]["till_order"] = json!(asked.order);
    object["metadata"]["till_session"] = json!(asked.session);
    app.deliver(&event).await.expect(200);
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&event).await, "quarantined amount_mismatch");
    assert_eq!(shop.order(&theirs.order).await["payment_status"], "paid");
    let order = shop.order(&asked.order).await;
    assert_eq!(order["payment_status"], "unpaid", "{order}");
    assert_eq!(order["review"], "amount_mismatch", "{order}");
    app.finish().await;
}

/// An event that was called applied while nothing is known of its object is a finding.
#[tokio::test(flavor = "multi_thread")]
async fn an_applied_event_without_a_fact_is_found_by_verify() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let ours = shop.payable().await;
    let (_, intent) = paid_copy(&app, &ours, "2499", "eur").await;
    let event = event_of(&app, SUCCEEDED, &intent).await;
    app.deliver(&event).await.expect(200);
    let look = app.look().await;
    let forget = "UPDATE provider_event SET verdict = 'applied', reason = NULL, next_at = NULL";
    look.execute_unprepared(forget).await.expect("an update");
    look.close().await.expect("closes");
    app.expect_broken();
    let report = app.services.store.verify().await.expect("a report");
    let found = report.findings.iter();
    let found: Vec<Check> = found.map(|finding| finding.check).collect();
    assert!(found.contains(&Check::EventFacts), "{report:#?}");
    app.finish().await;
}

/// A webhook of an order whose session names what another order was paid with: signed, its own session, its own marks.
async fn crossed(app: &TestApp, unpaid: &Payable, theirs: &Payable) -> Value {
    app.pay(theirs).await;
    let event = app.provider_event(COMPLETED, theirs).await;
    app.deliver(&event).await.expect(200);
    let mut second = event.clone();
    second["id"] = json!("evt_second_order");
    let crossed = &mut second["data"]["object"];
    crossed["id"] = json!(unpaid.at_provider);
    crossed["client_reference_id"] = json!(unpaid.order);
    crossed["metadata"]["till_session"] = json!(unpaid.session);
    crossed["metadata"]["till_order"] = json!(unpaid.order);
    app.deliver(&second).await.expect(200);
    assert_eq!(app.verdict(&second).await, CROSSED);
    second
}

const CROSSED: &str = "quarantined payment_of_another_order";

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_never_pays_two_orders_whatever_is_signed() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let unpaid = shop.payable().await;
    let theirs = shop.payable().await;
    let second = crossed(&app, &unpaid, &theirs).await;
    let known = format!(
        "SELECT COUNT(*) FROM provider_event WHERE event_id = 'evt_second_order' AND order_id = '{}'",
        unpaid.order
    );
    assert_eq!(app.count(&known).await, 1, "whose it is");
    // What the provider says of that session itself is believed.
    app.work().await;
    assert_eq!(app.verdict(&second).await, "applied");
    assert_eq!(shop.order(&unpaid.order).await["payment_status"], "unpaid");
    assert_eq!(shop.order(&theirs.order).await["payment_status"], "paid");
    app.pay(&unpaid).await;
    let own = app.provider_event(COMPLETED, &unpaid).await;
    app.deliver(&own).await.expect(200);
    assert_eq!(shop.order(&unpaid.order).await["payment_status"], "paid");
    app.finish().await;
}

/// It is a question to the provider, whoever tries it again and whatever it was called before.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_names_another_orders_payment_is_only_ever_answered_by_the_provider() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let unpaid = shop.payable().await;
    let theirs = shop.payable().await;
    let silent = json!({"on": "checkout.session.retrieve", "do": "status:503", "times": "always"});
    app.fault(silent).await;
    let second = crossed(&app, &unpaid, &theirs).await;
    app.advance(25 * 3_600).await;
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&second).await, "dead payment_of_another_order");
    let stored = "SELECT id FROM provider_event WHERE event_id = 'evt_second_order'";
    let id = app.texts(stored).await.remove(0);
    let asked = app.services.replay(&id, true).await.expect("a look");
    assert_eq!(asked.outcome, ReplayOutcome::Failed, "{asked:?}");
    app.heal().await;
    // As a version kept it that knew no better.
    let look = app.look().await;
    let older = "UPDATE provider_event SET verdict = 'pending', reason = 'not_applied' \
                 WHERE event_id = 'evt_second_order'";
    look.execute_unprepared(older).await.expect("an update");
    look.close().await.expect("closes");
    for dry_run in [true, false] {
        let tried = app.services.replay(&id, dry_run).await.expect("a replay");
        assert_eq!(tried.outcome, ReplayOutcome::Quarantined, "{tried:?}");
    }
    assert_eq!(app.verdict(&second).await, CROSSED);
    let fetched = app.services.replay(&id, false).await.expect("a replay");
    assert_eq!(fetched.outcome, ReplayOutcome::Applied, "{fetched:?}");
    assert_eq!(shop.order(&unpaid.order).await["payment_status"], "unpaid");
    assert_eq!(shop.order(&theirs.order).await["payment_status"], "paid");
    app.finish().await;
}

/// Not even the provider's word gives one payment to two orders; that is for people.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_the_provider_shows_for_two_orders_waits_for_people() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let ours = shop.payable().await;
    let theirs = shop.payable().await;
    let second = crossed(&app, &ours, &theirs).await;
    app.pay(&ours).await;
    let own = app.provider_event(COMPLETED, &ours).await;
    let intent = own["data"]["object"]["payment_intent"].as_str();
    let look = app.look().await;
    let taken = format!(
        "UPDATE payment SET provider_payment_id = '{}' WHERE order_id = '{}'",
        intent.expect("an intent"),
        theirs.order
    );
    look.execute_unprepared(&taken).await.expect("an update");
    look.close().await.expect("closes");
    app.services.retry_due_events().await.expect("a round");
    assert_eq!(app.verdict(&second).await, "dead payment_of_another_order");
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", ours.session);
    shop.get(&refresh).await.expect(200);
    // Its session is asked about as well, now and then.
    for (seconds, polls) in [(3_600, 1), (600, 0), (3_600, 1)] {
        app.advance(seconds).await;
        let asked = app.services.poll_due_sessions().await;
        assert_eq!(asked.expect("a round"), polls, "{seconds}");
    }
    assert_eq!(shop.order(&ours.order).await["payment_status"], "unpaid");
    app.expect_broken();
    app.finish().await;
}
