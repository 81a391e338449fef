//! The console tells the truth about money: what is typed is what happens or is refused, what was done is told once and
//! as it is by now, and no page says of money what another page denies.

use serde_json::json;
use till::domain::staff::Role;
use till::service::replay::ReplayOutcome;

use crate::harness::person::Person;
use crate::harness::{Answer, Payable, TestApp};
use crate::other_money::{event_of, paid_copy};
use crate::staff_actions::{fields, order_page, send};

/// The page behind a question, answered as an address asks.
async fn shown(person: &Person, page: &str) -> String {
    person.get(page).await.expect(200).text
}

/// Opens a page and sends the form it draws.
async fn confirm(person: &Person, page: &str) -> Answer {
    let form = shown(person, page).await;
    let path = page.split('?').next().expect("a path");
    send(person, path, &fields(&form)).await.expect(303)
}

/// Follows a redirect as the browser would that was given this answer's cookies.
async fn follow(person: &Person, answer: &Answer) -> Answer {
    let to = answer.header("location").expect("a redirect");
    let set = answer.header("set-cookie").expect("a cookie");
    let given = set.split(';').next().expect("a pair");
    let session = person.cookie.clone().expect("a session");
    let request = person.request(reqwest::Method::GET, to).header(
        "Cookie",
        format!("{}={session}; {given}", till::staff::guard::COOKIE),
    );
    Answer::read(request.send().await.expect("Till answers")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_contradicts_itself_is_refused() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let order = shop.order(&paid.order).await;
    let line = order["line_items"][0]["id"].as_str().expect("an id");
    let finance = app.person(Role::Finance).await;
    let page = format!("{}/refund", order_page(&app, &paid.order));
    let form = shown(&finance, &page).await;
    let mut choices = form.split("<input type=\"radio\"").skip(1);
    let chosen = choices.any(|choice| {
        choice
            .split('>')
            .next()
            .is_some_and(|tag| tag.contains("checked"))
    });
    assert!(!chosen, "nothing is chosen for anybody");
    for (query, said) in [
        ("share=rest&amount=5.00", "not what you chose"),
        (
            "share=rest&amount=&quantity%5BLINE%5D=1",
            "not what you chose",
        ),
        (
            "share=amount&amount=5.00&quantity%5BLINE%5D=1",
            "not what you chose",
        ),
        (
            "share=lines&amount=5.00&quantity%5BLINE%5D=1",
            "not what you chose",
        ),
        ("amount=5.00", "Say how much goes back"),
        (
            "share=&amount=&quantity%5BLINE%5D=1",
            "Say how much goes back",
        ),
        ("share=all&amount=5.00", "Say how much goes back"),
    ] {
        let query = query.replace("LINE", line);
        let address = format!("{page}?payment={payment}&reason=&{query}");
        let again = finance.get(&address).await.expect(422);
        assert!(again.text.contains(said), "{query}: {}", again.text);
        // What was typed is still there.
        assert_eq!(
            again.text.contains("value=\"5.00\""),
            query.contains("5.00"),
            "{query}"
        );
    }
    // The form that acts is no way around it.
    let rest = shown(&finance, &format!("{page}?payment={payment}&share=rest")).await;
    let mut contradicting = fields(&rest);
    for (name, value) in &mut contradicting {
        if name == "amount" {
            *value = "5.00".to_owned();
        }
    }
    let refused = send(&finance, &page, &contradicting).await.expect(409);
    assert!(
        refused.text.contains("not what you chose"),
        "{}",
        refused.text
    );
    assert!(shop.refunds_of(&paid.order).await.is_empty());
    send(&finance, &page, &fields(&rest)).await.expect(303);
    assert_eq!(shop.refunds_of(&paid.order).await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_told_once_and_as_it_is() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let other = shop.payable().await;
    let finance = app.person(Role::Finance).await;
    app.simulate("settings", &json!({"refunds": "pending"}))
        .await;
    let page = format!("{}/refund", order_page(&app, &paid.order));
    let query = format!("{page}?payment={payment}&share=amount&amount=5.00");
    let answer = confirm(&finance, &query).await;
    let pending = format!("{}?done=refund-pending", order_page(&app, &paid.order));
    assert_eq!(answer.header("location"), Some(pending.as_str()));
    let told = follow(&finance, &answer).await.expect(200);
    assert!(told.text.contains("has not gone back yet"), "{}", told.text);
    let gone = told.header("set-cookie").expect("the cookie goes");
    assert!(
        gone.contains("till-done=;") && gone.contains("Max-Age=0"),
        "{gone}"
    );
    // A reload, a bookmark, a link that was sent, another order.
    assert!(
        !shown(&finance, &pending)
            .await
            .contains("has not gone back")
    );
    let elsewhere = format!("{}?done=refunded", order_page(&app, &other.order));
    assert!(
        !shown(&finance, &elsewhere)
            .await
            .contains("The refund is done")
    );

    app.simulate("settings", &json!({"refunds": "succeeded"}))
        .await;
    let answer = confirm(&finance, &query).await;
    let told = follow(&finance, &answer).await.expect(200);
    assert!(told.text.contains("The refund is done."), "{}", told.text);
    app.advance(10).await;
    app.work().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_in_suspense_where_there_is_nothing() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let viewer = app.person(Role::Viewer).await;
    let list = format!("/staff/{}/payments", app.shop.id);
    let slow = shop.payable().await;
    app.at_session(&slow, "pay", json!({"method": "delayed"}))
        .await;
    for kind in ["checkout.session.completed", "payment_intent.processing"] {
        let event = app.provider_event(kind, &slow).await;
        app.deliver(&event).await.expect(200);
    }
    let (reserved, _) = shop.reserved(&app).await;
    let page = shown(&viewer, &list).await;
    assert!(!page.contains("suspense"), "{page}");
    let id = shop.payment_of(&slow.order).await["id"].clone();
    let page = shown(&viewer, &format!("{list}/{}", id.as_str().expect("an id"))).await;
    assert!(page.contains("No money was taken") && !page.contains("suspense"));
    // Reserved is not paid.
    let page = shown(&viewer, &order_page(&app, &reserved.order)).await;
    let sessions = page.split("id=\"sessions\"").nth(1).expect("sessions");
    let sessions = sessions.split("id=\"timeline\"").next().expect("an end");
    assert!(
        sessions.contains("Completed") && !sessions.contains("Paid"),
        "{sessions}"
    );

    let ours = shop.payable().await;
    let (_, intent) = paid_copy(&app, &ours, "2499", "eur").await;
    let event = event_of(&app, "payment_intent.succeeded", &intent).await;
    app.deliver(&event).await.expect(200);
    app.services.retry_due_events().await.expect("a round");
    let payment = shop.payment_of(&ours.order).await["id"].clone();
    let payment = format!("{list}/{}", payment.as_str().expect("an id"));
    assert!(shown(&viewer, &payment).await.contains("waits in suspense"));
    // Whoever sends the customer to pay again is told that money is here.
    let operator = app.person(Role::Operator).await;
    let base = order_page(&app, &ours.order);
    let checkout = shown(&operator, &format!("{base}/checkout")).await;
    assert!(
        checkout.contains("24.99 EUR arrived for this order already"),
        "{checkout}"
    );

    let finance = app.person(Role::Finance).await;
    confirm(&finance, &format!("{base}/refund?share=rest")).await;
    assert!(!shown(&viewer, &payment).await.contains("suspense"));
    let page = shown(&viewer, &base).await;
    let state = page.split("id=\"state\"").nth(1).expect("a state");
    let state = state.split("</p>").next().expect("an end");
    assert!(
        state.contains("24.99") && state.contains("went back to the customer"),
        "{state}"
    );
    let checkout = shown(&operator, &format!("{base}/checkout")).await;
    assert!(!checkout.contains("arrived for this order"), "{checkout}");
    // The refund was a call, and its payment's page shows it.
    let calls = shown(&viewer, &payment).await;
    let calls = calls.split("Calls about it").nth(1).expect("calls");
    assert!(calls.contains("Refund"), "{calls}");
    app.finish().await;
}

/// Opens a dispute and tells Till.
async fn dispute(app: &TestApp, paid: &Payable, body: serde_json::Value) -> String {
    let act = format!("sessions/{}/dispute", paid.at_provider);
    let made = app.simulate(&act, &body).await;
    tell(app).await;
    made["id"].as_str().expect("an id").to_owned()
}

async fn tell(app: &TestApp) {
    for kind in ["created", "closed", "funds_withdrawn"] {
        for event in app.provider_events(&format!("charge.dispute.{kind}")).await {
            app.deliver(&event).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_says_how_much_the_bank_took_and_until_when() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let finance = app.person(Role::Finance).await;
    let (asked, _) = shop.paid(&app).await;
    dispute(&app, &asked, json!({"inquiry": true})).await;
    let page = shown(&finance, &order_page(&app, &asked.order)).await;
    assert!(page.contains("has taken nothing so far") && !page.contains("money is held"));

    let (part, payment) = shop.paid(&app).await;
    let id = dispute(&app, &part, json!({"amount": 1_000})).await;
    let base = order_page(&app, &part.order);
    let page = shown(&finance, &base).await;
    assert!(page.contains("has taken 10.00 EUR"), "{page}");
    assert!(
        page.contains("15.00 EUR cannot be refunded while"),
        "{page}"
    );
    let queue = shown(&finance, &format!("/staff/{}/reviews", app.shop.id)).await;
    assert!(queue.contains("Taken by the bank"), "{queue}");

    // Seen is not answered: the day stays on the order.
    let review = page.split("/reviews/").nth(1).expect("a question");
    let review = review.split(['/', '"']).next().expect("an id");
    let path = format!("/staff/{}/reviews/{review}/acknowledge", app.shop.id);
    let mut seen = fields(&shown(&finance, &path).await);
    seen.push(("note".to_owned(), "evidence is sent".to_owned()));
    send(&finance, &path, &seen).await.expect(303);
    let page = shown(&finance, &base).await;
    assert!(page.contains("Answer by"), "{page}");

    let act = format!("disputes/{id}/close");
    app.simulate(&act, &json!({"outcome": "lost"})).await;
    tell(&app).await;
    let page = shown(&finance, &base).await;
    assert!(!page.contains("Answer by"), "{page}");
    assert!(
        page.contains("15.00 EUR of a payment that lost a dispute"),
        "{page}"
    );
    let refused = format!("{base}/refund?payment={payment}&share=rest");
    let refused = finance.get(&refused).await.expect(422);
    assert!(refused.text.contains("once it is lost") || refused.text.contains("nothing to do"));
    let list = shown(&finance, &format!("/staff/{}/orders", app.shop.id)).await;
    assert!(list.contains("Partly lost in a dispute"), "{list}");
    let order = shop.order(&part.order).await;
    assert_eq!(order["payment_status"], "partially_refunded");
    app.finish().await;
}

/// The provider answers with other money than was asked to go back: no page calls that done.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_in_another_currency_is_nowhere_done() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    app.fault(json!([
        {"on": "refund.create", "do": "wrong_currency", "times": "always"},
        {"on": "refund.list", "do": "wrong_currency", "times": "always"},
    ]))
    .await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    shop.post(&path, &json!({"amount": "5.00"}))
        .await
        .expect(202);
    let mut told = app
        .provider_events("refund.created")
        .await
        .pop()
        .expect("it tells");
    told["data"]["object"]["currency"] = json!("usd");
    app.deliver(&told).await.expect(200);
    assert_eq!(app.verdict(&told).await, "quarantined currency_mismatch");
    let id = told["id"].as_str().expect("an id");
    for _ in 0..2 {
        let replayed = app.services.replay(id, false).await.expect("a replay");
        assert_eq!(replayed.outcome, ReplayOutcome::Quarantined, "{replayed:?}");
    }
    let order = shop.order(&paid.order).await;
    assert_eq!(order["amount_refunded"], "0.00", "{order}");
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds[0]["status"], "pending", "{refunds:?}");
    let outcomes = app
        .texts("SELECT outcome FROM provider_attempt ORDER BY id DESC LIMIT 1")
        .await;
    assert_eq!(outcomes, ["bad_answer"]);
    // It ends as it should once the provider says what it did.
    app.heal().await;
    app.advance(10).await;
    app.work().await;
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds[0]["status"], "succeeded", "{refunds:?}");
    let viewer = app.person(Role::Viewer).await;
    let page = format!("/staff/{}/payments/{payment}", app.shop.id);
    assert!(shown(&viewer, &page).await.contains("Refund"));
    app.expect_open_calls();
    app.finish().await;
}
