//! Open questions answered by the staff: what each answer does to the money, who wins of two, and that an answer
//! holds until its cause returns. The use cases are called as the console calls them.

use serde_json::{Value, json};
use till::domain::ids::{OrderId, StaffId};
use till::domain::page::{Cursor, Page};
use till::domain::queue::Place;
use till::domain::resolution::{Objection, Resolution};
use till::domain::settlement::Reason;
use till::domain::standing::{ReviewStanding, Standing};
use till::service::reviews::Resolve;
use till::service::{Answer, Caller, ServiceError};

use crate::harness::actor::fresh_key;
use crate::harness::{Actor, Payable, Setup, TestApp};
use crate::other_money::{event_of, paid_copy};

/// A Till that gives nothing back by itself.
pub async fn holding() -> TestApp {
    TestApp::with(Setup {
        settings: vec![("orders.late_payments", "hold".into())],
        ..Setup::default()
    })
    .await
}

/// Somebody of the staff at their desk.
pub fn clerk(app: &TestApp) -> Caller {
    let person: StaffId = app.clock.id();
    let shop = &app.shop;
    Caller::staff(person, shop.id, shop.mode, format!("req_{person}"))
}

/// The first so many questions of the queue.
pub fn first(limit: u64) -> Page<Place> {
    Page {
        limit,
        cursor: Cursor::Newest,
    }
}

fn id_of(order: &str) -> OrderId {
    order.parse().expect("an order's id")
}

pub async fn standing(app: &TestApp, clerk: &Caller, order: &str) -> Standing {
    let standing = app.services.standing(clerk, id_of(order)).await;
    standing.expect("a standing")
}

/// The only open question of an order, and the form that answers it so.
pub async fn form(app: &TestApp, clerk: &Caller, order: &str, resolution: Resolution) -> Resolve {
    let standing = standing(app, clerk, order).await;
    let open = standing.open_reviews();
    assert_eq!(open.len(), 1, "{:#?}", standing.reviews);
    Resolve {
        order: id_of(order),
        review: open[0].id,
        opening: open[0].opening,
        resolution,
        note: None,
        version: standing.version(),
    }
}

pub async fn resolve(
    app: &TestApp,
    clerk: &Caller,
    form: &Resolve,
) -> Result<Answer, ServiceError> {
    app.services.resolve(clerk, &fresh_key(), form).await
}

fn objection<T: std::fmt::Debug>(outcome: Result<T, ServiceError>) -> Objection {
    match outcome {
        Err(ServiceError::Objected(why)) => why,
        other => panic!("not an objection: {other:?}"),
    }
}

/// What can be done about the only open question.
pub async fn offered(app: &TestApp, clerk: &Caller, order: &str) -> Vec<Resolution> {
    let standing = standing(app, clerk, order).await;
    let open: Vec<&ReviewStanding> = standing.open_reviews();
    assert_eq!(open.len(), 1);
    standing.resolutions(open[0])
}

pub async fn cancelled_and_paid(app: &TestApp, shop: &Actor) -> Payable {
    let payable = shop.payable().await;
    let path = format!("/v1/orders/{}/cancel", payable.order);
    shop.post(&path, &json!({})).await.expect(200);
    shop.late_money(app, &payable).await;
    payable
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_late_money_reopens_the_order() {
    let app = holding().await;
    let shop = app.merchant().await;
    let late = cancelled_and_paid(&app, &shop).await;
    let clerk = clerk(&app);
    assert_eq!(
        offered(&app, &clerk, &late.order).await,
        [Resolution::Accept, Resolution::Refund, Resolution::Ask]
    );
    let form = form(&app, &clerk, &late.order, Resolution::Accept).await;
    let (_, _, preview) = app
        .services
        .preview_resolution(&clerk, form.order, form.review, form.resolution)
        .await
        .expect("a preview");
    let preview = preview.expect("it moves money");
    assert_eq!(preview.version, form.version);
    assert_eq!(preview.moves[0].amount.to_string(), "25.00");
    let posted: Vec<String> = preview
        .foreseen
        .postings
        .iter()
        .map(|posting| {
            format!(
                "{} {} {}",
                posting.account, posting.debit_minor, posting.credit_minor
            )
        })
        .collect();
    assert_eq!(posted, ["sales 0 2500", "suspense 2500 0"]);
    assert_eq!(preview.foreseen.after.status.as_str(), "open");

    let answer = resolve(&app, &clerk, &form).await.expect("accepted");
    assert_eq!(answer.status, 200);
    let order = shop.order(&late.order).await;
    assert_eq!(order["status"], "open");
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["review"], Value::Null);
    assert_eq!(
        app.balances(&late.order).await,
        [
            "provider_clearing EUR 2500",
            "sales EUR -2500",
            "suspense EUR 0"
        ]
    );
    let actor = clerk.trace().actor;
    assert_eq!(
        app.reviews(&late.order).await,
        [format!("paid_after_cancel resolved {actor}")]
    );
    let story = app.story(&late.order).await;
    assert_eq!(story.iter().filter(|kind| *kind == "order.paid").count(), 1);
    let by = format!(
        "SELECT actor FROM event WHERE order_id = '{}' AND type = 'order.paid'",
        late.order
    );
    assert_eq!(app.texts(&by).await, std::slice::from_ref(&actor));
    // The timeline tells who decided what, and what came of it.
    let timeline = shop
        .get(&format!("/v1/orders/{}/timeline", late.order))
        .await;
    let entries = timeline.expect(200).json["data"]
        .as_array()
        .expect("a list")
        .clone();
    let find = |object: &str, kind: &str| {
        let mut found = entries.iter();
        let found = found.find(|entry| entry["object"] == object && entry["type"] == kind);
        found
            .unwrap_or_else(|| panic!("no {object} {kind}"))
            .clone()
    };
    let decision = find("decision", "accept");
    assert_eq!(decision["actor"], actor);
    assert_eq!(decision["cause"], form.review.to_string());
    let fact = find("fact", "payment_accepted");
    assert_eq!(fact["cause"], decision["id"]);
    assert_eq!(fact["details"]["source"], "decision");
    // And the money can go back like any other of the order's.
    let path = format!("/v1/orders/{}/refunds", late.order);
    shop.post(&path, &json!({"amount": "5.00"}))
        .await
        .expect(201);
    app.finish().await;
}

/// Part of what completes an order that was opened again is given back at the provider: the rest stays the order's.
#[tokio::test(flavor = "multi_thread")]
async fn money_of_a_reopened_order_that_goes_back_in_part_elsewhere_stays_its_money() {
    for refund_is_heard_of_first in [false, true] {
        let app = holding().await;
        second_payment_goes_back_in_part(&app, refund_is_heard_of_first).await;
        app.finish().await;
    }
}

async fn second_payment_goes_back_in_part(app: &TestApp, refund_is_heard_of_first: bool) {
    let shop = app.merchant().await;
    let late = shop.payable().await;
    let path = format!("/v1/orders/{}/cancel", late.order);
    shop.post(&path, &json!({})).await.expect(200);
    let (_, intent) = paid_copy(app, &late, "1000", "eur").await;
    let event = event_of(app, "payment_intent.succeeded", &intent).await;
    app.deliver(&event).await.expect(200);
    app.services.retry_due_events().await.expect("a round");
    let clerk = clerk(app);
    let form = form(app, &clerk, &late.order, Resolution::Accept).await;
    resolve(app, &clerk, &form).await.expect("accepted");
    let order = shop.order(&late.order).await;
    assert_eq!(order["payment_status"], "partially_paid", "{order}");
    let second = shop.check_out(&late.order).await.expect(201);
    assert_eq!(second.str("amount"), "15.00");
    let second = Payable {
        session: second.str("id").to_owned(),
        at_provider: second.str("provider_session_id").to_owned(),
        ..late.clone()
    };
    app.pay(&second).await;
    let paid = app
        .provider_event("payment_intent.succeeded", &second)
        .await;
    if refund_is_heard_of_first {
        // The payment is known, as one that failed at first; that it went through comes last.
        let mut failed = paid.clone();
        failed["id"] = json!("evt_failed_before");
        failed["type"] = json!("payment_intent.payment_failed");
        let intent = &mut failed["data"]["object"];
        intent["status"] = json!("requires_payment_method");
        intent["amount_received"] = json!(0);
        intent["latest_charge"] = Value::Null;
        intent["last_payment_error"] = json!({"code": "card_declined", "type": "card_error"});
        app.deliver(&failed).await.expect(200);
    } else {
        app.deliver(&paid).await.expect(200);
    }
    let intent = paid["data"]["object"]["id"].as_str().expect("an id");
    let act = format!("payment_intents/{intent}/refund");
    app.simulate(&act, &json!({"amount": 500})).await;
    let event = app.provider_events("refund.created").await.pop();
    app.deliver(&event.expect("an event")).await.expect(200);
    if refund_is_heard_of_first {
        let payments = shop.payments_of(&late.order).await;
        let captured = |payment: &&Value| payment["amount_captured"] != "0.00";
        assert_eq!(payments.iter().filter(captured).count(), 1, "{payments:?}");
        assert_eq!(shop.refunds_of(&late.order).await.len(), 1);
        app.deliver(&paid).await.expect(200);
    }
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", second.session);
    shop.get(&refresh).await.expect(200);
    let event = app.provider_events("refund.updated").await.pop();
    if let Some(event) = event {
        app.deliver(&event).await.expect(200);
    }
    let order = shop.order(&late.order).await;
    assert_eq!(order["amount_paid"], "25.00", "{order}");
    assert_eq!(order["amount_refunded"], "5.00");
    assert_eq!(order["payment_status"], "partially_refunded");
    assert_eq!(order["review"], Value::Null);
    assert_eq!(
        app.balances(&late.order).await,
        [
            "provider_clearing EUR 2000",
            "refunds EUR 500",
            "sales EUR -2500",
            "suspense EUR 0"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_goes_back_whole_and_once() {
    let app = holding().await;
    let shop = app.merchant().await;
    let (paid, kept, duplicate) = shop.paid_twice(&app).await;
    let clerk = clerk(&app);
    let form = form(&app, &clerk, &paid.order, Resolution::Refund).await;
    let key = fresh_key();
    for replayed in [false, true] {
        let answer = app
            .services
            .resolve(&clerk, &key, &form)
            .await
            .expect("a refund");
        assert_eq!((answer.status, answer.replayed), (201, replayed));
    }
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["payment_id"], duplicate["id"]);
    assert_eq!(refunds[0]["amount"], "25.00");
    assert_eq!(refunds[0]["reason"], "duplicate");
    assert_eq!(app.effects("refund.created").await.len(), 1);
    let order = shop.order(&paid.order).await;
    assert_eq!(
        (&order["payment_status"], &order["review"]),
        (&json!("paid"), &Value::Null)
    );
    assert_eq!(
        app.balances(&paid.order).await,
        [
            "provider_clearing EUR 2500",
            "sales EUR -2500",
            "suspense EUR 0"
        ]
    );
    let actor = clerk.trace().actor;
    assert_eq!(
        app.reviews(&paid.order).await,
        [format!("duplicate_payment resolved {actor}")]
    );
    let kept = shop
        .get(&format!(
            "/v1/payments/{}",
            kept["id"].as_str().expect("an id")
        ))
        .await;
    assert_eq!(kept.expect(200).str("amount_refunded"), "0.00");
    let by = "SELECT actor FROM provider_call WHERE kind = 'refund_create'";
    assert_eq!(app.texts(by).await, [actor]);
    app.finish().await;
}

/// One of two payments is the order's: whoever accepts the second gives up the first, and is told so before.
#[tokio::test(flavor = "multi_thread")]
async fn accepting_the_second_payment_makes_the_first_the_duplicate() {
    let app = holding().await;
    let shop = app.merchant().await;
    let (paid, kept, duplicate) = shop.paid_twice(&app).await;
    let clerk = clerk(&app);
    let accept = form(&app, &clerk, &paid.order, Resolution::Accept).await;
    let preview = app
        .services
        .preview_resolution(&clerk, accept.order, accept.review, Resolution::Accept)
        .await
        .expect("a preview")
        .2
        .expect("it moves money");
    let given_up: Vec<String> = preview
        .given_up()
        .iter()
        .map(|p| p.id.to_string())
        .collect();
    assert_eq!(given_up, [kept["id"].as_str().expect("an id")]);
    resolve(&app, &clerk, &accept).await.expect("accepted");
    let back = form(&app, &clerk, &paid.order, Resolution::Refund).await;
    resolve(&app, &clerk, &back).await.expect("a refund");
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["payment_id"], kept["id"]);
    let order = shop.order(&paid.order).await;
    assert_eq!(
        (&order["payment_status"], &order["review"]),
        (&json!("paid"), &Value::Null)
    );
    let duplicate = duplicate["id"].as_str().expect("an id");
    let belongs = format!(
        "SELECT id FROM payment WHERE belongs AND order_id = '{}'",
        paid.order
    );
    assert_eq!(app.texts(&belongs).await, [duplicate]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_at_once_one_decides_and_the_other_is_told() {
    let app = holding().await;
    let shop = app.merchant().await;
    for (first, second) in [
        (Resolution::Accept, Resolution::Refund),
        (Resolution::Accept, Resolution::Accept),
        (Resolution::Refund, Resolution::Refund),
    ] {
        let late = cancelled_and_paid(&app, &shop).await;
        let (ada, bob) = (clerk(&app), clerk(&app));
        let mine = form(&app, &ada, &late.order, first).await;
        let theirs = form(&app, &bob, &late.order, second).await;
        let (one, two) = tokio::join!(resolve(&app, &ada, &mine), resolve(&app, &bob, &theirs));
        let (won, lost, winner, how) = match (one, two) {
            (Ok(won), lost) => (won, lost, &ada, first),
            (lost, Ok(won)) => (won, lost, &bob, second),
            neither => panic!("nobody won: {neither:?}"),
        };
        assert!(matches!(won.status, 200 | 201));
        let expected = Objection::Decided {
            by: winner.trace().actor,
            how: Some(how),
        };
        let why = objection(lost);
        assert!(why == expected || why == Objection::Changed, "{why:?}");
        let accepted = format!(
            "SELECT COUNT(*) FROM provider_fact WHERE kind = 'payment_accepted' AND order_id = '{}'",
            late.order
        );
        let (facts, refunds) = (
            app.count(&accepted).await,
            shop.refunds_of(&late.order).await,
        );
        match how {
            Resolution::Accept => assert_eq!((facts, refunds.len()), (1, 0)),
            _ => assert_eq!((facts, refunds.len()), (0, 1)),
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_form_sent_twice_at_once_decides_once() {
    let app = holding().await;
    let shop = app.merchant().await;
    let late = cancelled_and_paid(&app, &shop).await;
    let clerk = clerk(&app);
    let form = form(&app, &clerk, &late.order, Resolution::Accept).await;
    let key = fresh_key();
    let send = || app.services.resolve(&clerk, &key, &form);
    let (one, two) = tokio::join!(send(), send());
    let (one, two) = (one.expect("an answer"), two.expect("an answer"));
    assert_eq!(one.body, two.body);
    let decisions = app
        .services
        .decisions(&clerk, form.order)
        .await
        .expect("a list");
    assert_eq!(decisions.len(), 1);
    let other = Resolve {
        resolution: Resolution::Acknowledge,
        ..form
    };
    let reused = app.services.resolve(&clerk, &key, &other).await;
    assert!(
        matches!(reused, Err(ServiceError::Refused { .. })),
        "{reused:?}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_currency_can_only_go_back() {
    let app = holding().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    let kind = "checkout.session.completed";
    app.pay(&payable).await;
    let mut event = app.provider_event(kind, &payable).await;
    event["data"]["object"]["currency"] = json!("usd");
    app.fault(
        json!({"on": "checkout.session.retrieve", "do": "wrong_currency", "times": "always"}),
    )
    .await;
    app.deliver(&event).await.expect(200);
    app.work().await;
    let clerk = clerk(&app);
    assert_eq!(
        offered(&app, &clerk, &payable.order).await,
        [Resolution::Refund, Resolution::Ask]
    );
    let accept = form(&app, &clerk, &payable.order, Resolution::Accept).await;
    assert_eq!(
        objection(resolve(&app, &clerk, &accept).await),
        Objection::NotPossible
    );
    let foretold = app
        .services
        .preview_resolution(&clerk, accept.order, accept.review, Resolution::Accept)
        .await;
    assert_eq!(objection(foretold), Objection::NotPossible);
    assert_eq!(
        app.balances(&payable.order).await,
        ["provider_clearing USD 2500", "suspense USD -2500"]
    );
    let seen = app
        .services
        .open_reviews(&clerk, None, &first(10))
        .await
        .expect("the queue")
        .rows;
    let (asked, said) = (seen[0].session.as_ref(), seen[0].payment.as_ref());
    assert_eq!(asked.expect("a session").amount.currency().code(), "EUR");
    assert_eq!(said.expect("a payment").captured.currency().code(), "USD");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_amount_can_be_accepted() {
    let app = holding().await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let mut event = app
        .provider_event("checkout.session.completed", &payable)
        .await;
    event["data"]["object"]["amount_total"] = json!(2501);
    app.fault(json!({"on": "checkout.session.retrieve", "do": "wrong_amount", "times": "always"}))
        .await;
    app.deliver(&event).await.expect(200);
    app.work().await;
    assert_eq!(
        shop.order(&payable.order).await["review"],
        "amount_mismatch"
    );
    let clerk = clerk(&app);
    let form = form(&app, &clerk, &payable.order, Resolution::Accept).await;
    resolve(&app, &clerk, &form).await.expect("accepted");
    let order = shop.order(&payable.order).await;
    assert_eq!(order["payment_status"], "paid");
    assert_eq!(order["amount_paid"], "25.01");
    assert_eq!(order["review"], Value::Null);
    app.finish().await;
}

/// What the provider says of a dispute now, as a webhook.
async fn tell_disputes(app: &TestApp, kind: &str) {
    for event in app.provider_events(&format!("charge.dispute.{kind}")).await {
        app.deliver(&event).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_dispute_stays_closed_while_it_lasts() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let dispute = app
        .simulate(
            &format!("sessions/{}/dispute", paid.at_provider),
            &json!({}),
        )
        .await;
    tell_disputes(&app, "created").await;
    let ada = clerk(&app);
    let queue = async || {
        app.services
            .open_reviews(&ada, Some(Reason::Dispute), &first(10))
            .await
            .expect("the queue")
            .rows
    };
    let open = queue().await;
    assert_eq!(open.len(), 1);
    let due = open[0].review.due_at.expect("a due date");
    assert_eq!(
        due.seconds(),
        dispute["evidence_details"]["due_by"]
            .as_i64()
            .expect("a time")
    );
    assert_eq!(
        open[0].payment.as_ref().expect("a payment").id.to_string(),
        payment
    );
    let form = Resolve {
        note: Some("Evidence was sent.\r\nSee the provider.".to_owned()),
        ..form(&app, &ada, &paid.order, Resolution::Acknowledge).await
    };
    resolve(&app, &ada, &form).await.expect("acknowledged");
    assert!(queue().await.is_empty());
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    // Whatever is said of it while it lasts asks nobody again.
    tell_disputes(&app, "funds_withdrawn").await;
    app.advance(7 * 3_600).await;
    app.work().await;
    let actor = ada.trace().actor;
    assert_eq!(
        app.reviews(&paid.order).await,
        [format!("dispute resolved {actor}")]
    );
    assert_eq!(shop.order(&paid.order).await["payment_status"], "disputed");
    let decisions = app
        .services
        .decisions(&ada, form.order)
        .await
        .expect("a list");
    assert_eq!(
        decisions[0].note.as_deref(),
        Some("Evidence was sent.\nSee the provider.")
    );
    // Once it is closed nothing is left to remember.
    let act = format!("disputes/{}/close", dispute["id"].as_str().expect("an id"));
    app.simulate(&act, &json!({"outcome": "won"})).await;
    tell_disputes(&app, "closed").await;
    let left = "SELECT COUNT(*) FROM review WHERE acknowledged";
    assert_eq!(app.count(left).await, 0);
    app.finish().await;
}

/// A refund that fails, works when it is tried again, and fails once more.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_asked_again_when_its_cause_returns() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let ada = clerk(&app);
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let body = json!({"amount": "5.00"});
    let made = shop.post(&path, &body).await.expect(201);
    fail(&app, made.str("provider_refund_id")).await;
    assert_eq!(
        shop.order(&paid.order).await["review"],
        "provider_declined_refund"
    );
    let bare = form(&app, &ada, &paid.order, Resolution::Acknowledge).await;
    let without = resolve(&app, &ada, &bare).await;
    assert!(
        matches!(without, Err(ServiceError::Invalid(_))),
        "{without:?}"
    );
    let noted = Resolve {
        note: Some("Paid out in cash.".to_owned()),
        ..bare
    };
    resolve(&app, &ada, &noted).await.expect("acknowledged");
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    // A newer refund takes its place: the cause is gone. It fails: the cause is back.
    let newer = shop.post(&path, &body).await.expect(201);
    let cause = "SELECT COUNT(*) FROM review WHERE acknowledged";
    assert_eq!(app.count(cause).await, 0);
    fail(&app, newer.str("provider_refund_id")).await;
    assert_eq!(
        shop.order(&paid.order).await["review"],
        "provider_declined_refund"
    );
    let standing = standing(&app, &ada, &paid.order).await;
    let again = standing
        .reviews
        .iter()
        .find(|review| review.id == noted.review);
    let again = again.expect("the first question");
    assert!(again.open && again.opening == 2, "{again:?}");
    assert_eq!(again.resolution, None);
    // What was decided of the first time answers nothing now.
    let late = resolve(&app, &ada, &noted).await;
    assert!(matches!(objection(late), Objection::Decided { .. }));
    app.finish().await;
}

pub async fn fail(app: &TestApp, refund: &str) {
    app.simulate(&format!("refunds/{refund}/fail"), &json!({}))
        .await;
    let event = app
        .provider_events("refund.failed")
        .await
        .pop()
        .expect("an event");
    app.deliver(&event).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_refund_is_tried_again_with_its_lines() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let line = shop.order(&paid.order).await["line_items"][0]["id"].clone();
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let body = json!({"line_items": [{"line_item": line, "quantity": 1}]});
    let made = shop.post(&path, &body).await.expect(201);
    fail(&app, made.str("provider_refund_id")).await;
    let clerk = clerk(&app);
    let again = form(&app, &clerk, &paid.order, Resolution::RefundAgain).await;
    let answer = resolve(&app, &clerk, &again).await.expect("a refund");
    assert_eq!(answer.status, 201);
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds[0]["status"], "succeeded");
    assert_eq!(refunds[0]["line_items"][0]["quantity"], 1);
    assert_eq!(refunds[0]["amount"], "12.50");
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    app.finish().await;
}

/// Nobody knows whether a refund went back: an answer that is asked for now settles it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_asked_about_at_once() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    app.fault(json!([
        {"on": "refund.create", "do": "status:503", "times": "always"},
        {"on": "refund.list", "do": "status:503", "times": "always"},
    ]))
    .await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    shop.post(&path, &json!({})).await.expect(202);
    for _ in 0..4 {
        app.advance(24 * 3_600).await;
        app.work().await;
    }
    assert_eq!(shop.order(&paid.order).await["review"], "outcome_unknown");
    let clerk = clerk(&app);
    let ask = form(&app, &clerk, &paid.order, Resolution::Ask).await;
    let nothing = resolve(&app, &clerk, &ask).await.expect("an answer");
    assert_eq!(nothing.status, 202, "the provider still does not say");
    app.heal().await;
    app.advance(3_600).await;
    for _ in 0..2 {
        let asked = resolve(&app, &clerk, &ask).await;
        app.advance(2 * 3_600).await;
        if asked.is_ok_and(|answer| answer.status == 200) {
            break;
        }
    }
    let order = shop.order(&paid.order).await;
    assert_ne!(order["review"], "outcome_unknown", "{order}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_is_refused() {
    let app = holding().await;
    let shop = app.merchant().await;
    let late = cancelled_and_paid(&app, &shop).await;
    let clerk = clerk(&app);
    let accept = form(&app, &clerk, &late.order, Resolution::Accept).await;
    let refund = Resolve {
        resolution: Resolution::Refund,
        ..accept.clone()
    };
    // A program gave some of it back in the meantime.
    let path = format!("/v1/orders/{}/refunds", late.order);
    shop.post(&path, &json!({"amount": "1.00"}))
        .await
        .expect(201);
    for stale in [&accept, &refund] {
        assert_eq!(
            objection(resolve(&app, &clerk, stale).await),
            Objection::Changed
        );
    }
    assert_eq!(shop.refunds_of(&late.order).await.len(), 1);
    let keys = "SELECT COUNT(*) FROM idempotency_key WHERE route LIKE 'staff %'";
    assert_eq!(
        app.count(keys).await,
        0,
        "a refusal leaves no trace of its key"
    );
    let again = form(&app, &clerk, &late.order, Resolution::Refund).await;
    let answer = resolve(&app, &clerk, &again).await.expect("a refund");
    assert!(answer.body.contains("\"24.00\""), "{}", answer.body);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shops_questions_are_not_there() {
    use till::domain::access::Mode;
    let app = holding().await;
    let shop = app.merchant().await;
    let late = cancelled_and_paid(&app, &shop).await;
    let ours = clerk(&app);
    let form = form(&app, &ours, &late.order, Resolution::Accept).await;
    let other = app.another_shop("other", Mode::Test).await;
    let theirs = Caller::staff(app.clock.id(), other.id, other.mode, "req_x".to_owned());
    let outcome = resolve(&app, &theirs, &form).await;
    assert!(
        matches!(outcome, Err(ServiceError::NotFound)),
        "{outcome:?}"
    );
    let queue = app
        .services
        .open_reviews(&theirs, None, &first(10))
        .await
        .expect("the queue");
    assert!(queue.rows.is_empty());
    let found = app.services.order_of_review(&theirs, form.review).await;
    assert!(matches!(found, Err(ServiceError::NotFound)));
    app.finish().await;
}
