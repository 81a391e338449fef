//! Actions of the staff through the console's pages: what each page foretells is what happens, a form sent twice acts
//! once, and a page that is no longer true moves nothing.

use serde_json::{Value, json};
use till::domain::staff::Role;

use crate::harness::actor::fresh_key;
use crate::harness::person::Person;
use crate::harness::{Actor, Answer, Payable, Setup, TestApp, eventually};

/// The fields of the form that acts, as they were drawn.
pub fn fields(page: &str) -> Vec<(String, String)> {
    let form = page
        .split("<form method=\"post\">")
        .nth(1)
        .unwrap_or_else(|| panic!("no form: {page}"));
    let form = form.split("</form>").next().expect("a form ends");
    let mut fields = Vec::new();
    for input in form.split("<input ").skip(1) {
        let part = |name: &str| {
            let (_, rest) = input.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        if let (Some(name), Some(value)) = (part("name"), part("value")) {
            fields.push((name, value));
        }
    }
    fields
}

pub async fn send(person: &Person, path: &str, fields: &[(String, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    person.post_as_is(path, &fields).await
}

/// Where an order's page is.
pub fn order_page(app: &TestApp, order: &str) -> String {
    format!("/staff/{}/orders/{order}", app.shop.id)
}

/// Insists on a redirect to the order's page that says this.
#[track_caller]
fn done(app: &TestApp, answer: Answer, order: &str, code: &str) {
    let answer = answer.expect(303);
    let wanted = format!("{}?done={code}", order_page(app, order));
    assert_eq!(answer.header("location"), Some(wanted.as_str()));
}

/// Opens a page and sends the form it draws.
async fn confirm(person: &Person, page: &str) -> Answer {
    let shown = person.get(page).await.expect(200);
    let path = page.split('?').next().expect("a path");
    send(person, path, &fields(&shown.text)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_refunded_once_by_a_double_click() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let order = shop.order(&paid.order).await;
    let line = order["line_items"][0]["id"].as_str().expect("an id");
    let finance = app.person(Role::Finance).await;
    let base = order_page(&app, &paid.order);
    let form = finance.get(&format!("{base}/refund")).await.expect(200);
    assert!(form.text.contains(&payment) && form.text.contains(line));
    let query = format!("payment={payment}&share=lines&amount=&reason=&quantity%5B{line}%5D=1");
    let page = finance
        .get(&format!("{base}/refund?{query}"))
        .await
        .expect(200);
    for told in [
        "12.50&nbsp;",
        "Ada (ada@example.com)",
        "Refund 12.50 EUR",
        "1 × Mug",
        "Held by the provider",
        "Partly refunded",
        "cannot be undone",
    ] {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
    assert!(
        shop.refunds_of(&paid.order).await.is_empty(),
        "a preview does nothing"
    );
    let form = fields(&page.text);
    let path = format!("{base}/refund");
    let (one, two) = tokio::join!(send(&finance, &path, &form), send(&finance, &path, &form));
    done(&app, one, &paid.order, "refunded");
    done(&app, two, &paid.order, "refunded");
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["amount"], "12.50");
    assert_eq!(refunds[0]["line_items"][0]["quantity"], 1);
    assert_eq!(app.effects("refund.created").await.len(), 1);
    let actors = "SELECT DISTINCT actor FROM refund UNION SELECT actor FROM provider_call \
                  WHERE kind = 'refund_create'";
    assert_eq!(app.texts(actors).await, [finance.id.to_string()]);
    let audited = "SELECT COUNT(*) FROM audit_entry WHERE action = 'refund.create'";
    assert_eq!(app.count(audited).await, 2, "each request is on record");
    // The same form once more, much later, is still that one refund.
    done(
        &app,
        send(&finance, &path, &form).await,
        &paid.order,
        "refunded",
    );
    assert_eq!(shop.refunds_of(&paid.order).await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_by_amount_and_of_the_rest() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let finance = app.person(Role::Finance).await;
    let base = order_page(&app, &paid.order);
    for (amount, wrong) in [
        ("0.001", "digits"),
        ("99.00", "more than is left"),
        ("", ""),
    ] {
        let page = format!("{base}/refund?payment={payment}&share=amount&amount={amount}");
        let again = finance.get(&page).await.expect(422);
        assert!(again.text.contains(wrong), "{amount}: {}", again.text);
    }
    let page = format!("{base}/refund?payment={payment}&share=amount&amount=5.00&reason=duplicate");
    done(
        &app,
        confirm(&finance, &page).await,
        &paid.order,
        "refunded",
    );
    let page = format!("{base}/refund?payment={payment}&share=rest");
    done(
        &app,
        confirm(&finance, &page).await,
        &paid.order,
        "refunded",
    );
    let refunds = shop.refunds_of(&paid.order).await;
    let amounts: Vec<&Value> = refunds.iter().map(|refund| &refund["amount"]).collect();
    assert_eq!(amounts, ["20.00", "5.00"]);
    assert_eq!(refunds[1]["reason"], "duplicate");
    assert_eq!(shop.order(&paid.order).await["status"], "cancelled");
    let nothing = finance.get(&format!("{base}/refund")).await.expect(200);
    assert!(
        nothing.text.contains("There is nothing to do"),
        "{}",
        nothing.text
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_no_longer_true_moves_nothing() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let (ada, bob) = (
        app.person(Role::Finance).await,
        app.person(Role::Finance).await,
    );
    let base = order_page(&app, &paid.order);
    let page = format!("{base}/refund?payment={payment}&share=amount&amount=5.00");
    let (mine, theirs) = (ada.get(&page).await, bob.get(&page).await);
    let (mine, theirs) = (
        fields(&mine.expect(200).text),
        fields(&theirs.expect(200).text),
    );
    let path = format!("{base}/refund");
    let (one, two) = tokio::join!(send(&ada, &path, &mine), send(&bob, &path, &theirs));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    let refused = if one.status == 409 { one } else { two };
    assert!(
        refused.text.contains("has changed since you looked"),
        "{}",
        refused.text
    );
    assert_eq!(shop.refunds_of(&paid.order).await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_money_is_taken_or_released() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let finance = app.person(Role::Finance).await;
    let (reserved, payment) = shop.reserved(&app).await;
    let base = order_page(&app, &reserved.order);
    let page = format!("{base}/payments/{payment}/capture?amount=20.00");
    let shown = finance.get(&page).await.expect(200);
    assert!(shown.text.contains("Capture 20.00 EUR"), "{}", shown.text);
    done(
        &app,
        confirm(&finance, &page).await,
        &reserved.order,
        "captured",
    );
    let order = shop.order(&reserved.order).await;
    assert_eq!(order["amount_paid"], "20.00");
    let again = finance.get(&page).await.expect(409);
    assert!(again.text.contains("captured once"), "{}", again.text);

    let (other, payment) = shop.reserved(&app).await;
    let page = format!("{}/payments/{payment}/void", order_page(&app, &other.order));
    done(
        &app,
        confirm(&finance, &page).await,
        &other.order,
        "released",
    );
    assert_eq!(shop.payment_of(&other.order).await["status"], "voided");
    // A payment of another order is not there.
    let crossed = format!("{base}/payments/{payment}/void");
    finance.get(&crossed).await.expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_cancelled_unless_the_payment_is_faster() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let operator = app.person(Role::Operator).await;
    let open = shop.payable().await;
    let page = format!("{}/cancel", order_page(&app, &open.order));
    let shown = operator.get(&page).await.expect(200);
    for told in ["No money moves", "checkout page is ended", "Cancelled"] {
        assert!(shown.text.contains(told), "{told}: {}", shown.text);
    }
    done(
        &app,
        confirm(&operator, &page).await,
        &open.order,
        "cancelled",
    );
    assert_eq!(shop.order(&open.order).await["status"], "cancelled");
    let by = format!(
        "SELECT actor FROM event WHERE order_id = '{}' AND type = 'order.cancelled'",
        open.order
    );
    assert_eq!(app.texts(&by).await, [operator.id.to_string()]);

    // The customer pays between the page and the click; the webhook is still on its way.
    let fast = shop.payable().await;
    let page = format!("{}/cancel", order_page(&app, &fast.order));
    let form = fields(&operator.get(&page).await.expect(200).text);
    app.pay(&fast).await;
    let refused = send(&operator, &page, &form).await.expect(409);
    assert!(refused.text.contains("was paid"), "{}", refused.text);
    let order = shop.order(&fast.order).await;
    assert_eq!(
        (&order["status"], &order["payment_status"]),
        (&json!("open"), &json!("paid"))
    );
    let late = operator.get(&page).await.expect(409);
    assert!(late.text.contains("refund it instead"), "{}", late.text);
    app.finish().await;
}

/// Cancelling and paying at once: either wins, and the money and the books agree with whoever did.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_races_with_a_payment() {
    let app = TestApp::listening().await;
    let shop = app.merchant().await;
    let operator = app.person(Role::Operator).await;
    for _ in 0..4 {
        let open = shop.payable().await;
        let page = format!("{}/cancel", order_page(&app, &open.order));
        let form = fields(&operator.get(&page).await.expect(200).text);
        let pay = async {
            let url = format!(
                "{}/_simulator/sessions/{}/pay",
                app.simulator_url, open.at_provider
            );
            // The provider refuses it once the session is ended.
            let answer = app.http.post(url).json(&json!({})).send().await;
            answer.expect("the simulator answers").status().is_success()
        };
        let (clicked, paid) = tokio::join!(send(&operator, &page, &form), pay);
        eventually("the order is settled", async || {
            app.work().await;
            let order = shop.order(&open.order).await;
            order["status"] == "cancelled" || order["payment_status"] == "paid"
        })
        .await;
        let order = shop.order(&open.order).await;
        match paid {
            true => assert_eq!(order["payment_status"], "paid", "{order}"),
            false => assert_eq!(order["status"], "cancelled", "{order}"),
        }
        assert!(matches!(clicked.status, 303 | 409), "{}", clicked.text);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_answer_is_said_to_be_unknown() {
    let app = TestApp::impatient().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let finance = app.person(Role::Finance).await;
    app.fault(json!({"on": "refund.create", "do": "timeout_after_commit", "times": 1}))
        .await;
    let base = order_page(&app, &paid.order);
    let page = format!("{base}/refund?payment={payment}&share=rest");
    let form = fields(&finance.get(&page).await.expect(200).text);
    let path = format!("{base}/refund");
    done(
        &app,
        send(&finance, &path, &form).await,
        &paid.order,
        "unknown",
    );
    let says = till::staff::words::parts::done("unknown").expect("words");
    assert!(says.starts_with("We do not know yet"), "{says}");
    app.heal().await;
    app.advance(10).await;
    app.work().await;
    done(
        &app,
        send(&finance, &path, &form).await,
        &paid.order,
        "refunded",
    );
    assert_eq!(app.effects("refund.created").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkout_link_is_shown_again_or_made_anew() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let operator = app.person(Role::Operator).await;
    let open = shop.payable().await;
    let url = shop.session(&open.session).await["url"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let page = format!("{}/checkout", order_page(&app, &open.order));
    let live = operator.get(&page).await.expect(200);
    assert!(live.text.contains(&url), "{}", live.text);
    assert!(!live.text.contains("Make a new checkout page"));
    // Ended: a new one is made, with the same addresses and its own id in them.
    shop.post(
        &format!("/v1/checkout_sessions/{}/expire", open.session),
        &json!({}),
    )
    .await
    .expect(200);
    let made = confirm(&operator, &page).await.expect(303);
    assert_eq!(
        made.header("location"),
        Some(format!("{page}?done=checkout-made").as_str())
    );
    let sessions = format!(
        "SELECT success_url FROM checkout_session WHERE order_id = '{}'",
        open.order
    );
    let addresses = app.texts(&sessions).await;
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0], addresses[1]);
    let live = operator.get(&page).await.expect(200);
    assert!(live.text.contains("/pay/cs_test_"), "{}", live.text);
    // Paid orders need none, and orders without a first checkout get none here.
    let fresh = shop.place_order().await.str("id").to_owned();
    let none = operator
        .get(&format!("{}/checkout", order_page(&app, &fresh)))
        .await;
    assert!(
        none.expect(200)
            .text
            .contains("No checkout page can be made here")
    );
    app.finish().await;
}

/// The second finds what the first has changed, and its own key.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_link_is_made_once_by_a_double_click() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let operator = app.person(Role::Operator).await;
    let open = shop.payable().await;
    let end = format!("/v1/checkout_sessions/{}/expire", open.session);
    shop.post(&end, &json!({})).await.expect(200);
    let page = format!("{}/checkout", order_page(&app, &open.order));
    let form = fields(&operator.get(&page).await.expect(200).text);
    let clicks = (0..3).map(|_| send(&operator, &page, &form));
    for answer in futures::future::join_all(clicks).await {
        let answer = answer.expect(303);
        assert_eq!(
            answer.header("location"),
            Some(format!("{page}?done=checkout-made").as_str())
        );
    }
    let made = app.count("SELECT COUNT(*) FROM checkout_session").await;
    assert_eq!(made, 2, "the one that ended, and one");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_kept_as_text_and_never_changed() {
    use sea_orm::ConnectionTrait;
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await.str("id").to_owned();
    let operator = app.person(Role::Operator).await;
    let path = format!("{}/notes", order_page(&app, &order));
    let (evil, key) = ("<script>alert(1)</script>\r\n& \"quoted\"", fresh_key());
    for _ in 0..2 {
        let sent = [("text", evil), ("idempotency_key", key.as_str())];
        done(&app, operator.post(&path, &sent).await, &order, "noted");
    }
    let long = "x".repeat(2_001);
    for (wrong, why) in [
        ("", "must not be empty"),
        ("  \n", "must not be empty"),
        (long.as_str(), "at most 2000 characters"),
        (
            "Paid with <4242 4242 4242 4242>",
            "looks like a card number",
        ),
    ] {
        let key = fresh_key();
        let sent = [("text", wrong), ("idempotency_key", key.as_str())];
        let again = operator.post(&path, &sent).await.expect(422);
        assert!(again.text.contains(why), "{}", again.text);
        // What was written is there to be mended, and still only text.
        let kept = wrong.trim().replace('<', "&#60;").replace('>', "&#62;");
        assert!(again.text.contains(&format!("{kept}</textarea>")) || kept.is_empty());
    }
    let caller = till::service::Caller::staff(operator.id, app.shop.id, app.shop.mode, "r".into());
    let id = order.parse().expect("an id");
    let notes = app.services.notes(&caller, id).await.expect("the notes");
    assert_eq!(notes.len(), 1);
    let text = "<script>alert(1)</script>\n& \"quoted\"";
    assert_eq!(notes[0].text.as_deref(), Some(text));
    assert_eq!(notes[0].author, operator.id.to_string());
    let role = (operator.csrf.as_str(), Role::Operator);
    let part = till::staff::notes::Notes::of(&app.services, &caller, id, String::new(), role);
    let html = part.await.expect("the notes").to_string();
    assert!(
        !html.contains("<script>") && html.contains("alert(1)"),
        "{html}"
    );
    let timeline = shop
        .get(&format!("/v1/orders/{order}/timeline"))
        .await
        .expect(200);
    assert!(
        !timeline.text.contains("alert(1)"),
        "the timeline holds no text of people"
    );
    assert!(timeline.text.contains("\"note\""), "{}", timeline.text);
    let look = app.look().await;
    for forbidden in [
        "UPDATE order_note SET body = 'other'",
        "UPDATE order_note SET author = 'other'",
        "DELETE FROM order_note",
    ] {
        assert!(
            look.execute_unprepared(forbidden).await.is_err(),
            "{forbidden}"
        );
    }
    look.execute_unprepared("UPDATE order_note SET body = NULL")
        .await
        .expect("what somebody wrote can be erased");
    look.close().await.expect("closes");
    app.finish().await;
}

/// A Till that gives nothing back by itself, with an order that was paid after it was cancelled.
async fn late(settings: Vec<(&'static str, Value)>) -> (TestApp, Actor, Payable) {
    let app = TestApp::with(Setup {
        settings,
        ..Setup::default()
    })
    .await;
    let shop = app.merchant().await;
    let payable = shop.payable().await;
    let path = format!("/v1/orders/{}/cancel", payable.order);
    shop.post(&path, &json!({})).await.expect(200);
    shop.late_money(&app, &payable).await;
    (app, shop, payable)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_shows_both_sides_and_its_buttons_act() {
    let (app, shop, payable) = late(vec![("orders.late_payments", "hold".into())]).await;
    let (finance, viewer) = (
        app.person(Role::Finance).await,
        app.person(Role::Viewer).await,
    );
    let queue = format!("/staff/{}/reviews", app.shop.id);
    let page = finance.get(&queue).await.expect(200);
    for told in [
        "Paid after the order was closed",
        "What we asked for",
        "What the provider says",
        "25.00&nbsp;",
        "Keep it for the order",
        "Give it back",
        "<span class=\"count\">1</span>",
        payable.session.as_str(),
    ] {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
    let looked = viewer.get(&queue).await.expect(200);
    assert!(
        !looked.text.contains("/accept\""),
        "who may not decide is offered nothing"
    );
    let empty = viewer
        .get(&format!("{queue}?reason=dispute"))
        .await
        .expect(200);
    assert!(empty.text.contains("None of this kind"), "{}", empty.text);

    let review = app
        .texts("SELECT id FROM review WHERE status = 'open'")
        .await
        .remove(0);
    let at = format!("{queue}/{review}");
    let seen = viewer.get(&at).await.expect(200);
    assert!(
        seen.text.contains("People with the role Finance decide"),
        "{}",
        seen.text
    );
    let accept = format!("{at}/accept");
    let foretold = finance.get(&accept).await.expect(200);
    for told in [
        "Keep 25.00 EUR for the order",
        "Suspense",
        "Sales",
        "Cancelled",
        "Open",
    ] {
        assert!(foretold.text.contains(told), "{told}: {}", foretold.text);
    }
    let form = fields(&foretold.text);
    let (one, two) = tokio::join!(
        send(&finance, &accept, &form),
        send(&finance, &accept, &form)
    );
    done(&app, one, &payable.order, "kept");
    done(&app, two, &payable.order, "kept");
    assert_eq!(shop.order(&payable.order).await["payment_status"], "paid");
    // Somebody else still has the page open.
    let other = app.person(Role::Finance).await;
    let mut stale = form.clone();
    for (name, value) in &mut stale {
        match name.as_str() {
            "csrf" => value.clone_from(&other.csrf),
            "idempotency_key" => *value = fresh_key(),
            _ => {}
        }
    }
    let told = send(&other, &accept, &stale).await.expect(409);
    assert!(told.text.contains("A finance was faster"), "{}", told.text);
    let closed = viewer.get(&at).await.expect(200);
    assert!(
        closed.text.contains("This question is closed. A finance"),
        "{}",
        closed.text
    );
    let empty = finance.get(&queue).await.expect(200);
    assert!(
        empty.text.contains("Nothing needs a look"),
        "{}",
        empty.text
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_offers_follows_its_state_and_the_role() {
    use till::staff::{actions::Strip, reviews::Banner};
    let (app, shop, late) = late(vec![("orders.late_payments", "hold".into())]).await;
    let (paid, _) = shop.paid(&app).await;
    let (reserved, payment) = shop.reserved(&app).await;
    let open = shop.payable().await;
    let person = app.person(Role::Viewer).await;
    let caller = till::service::Caller::staff(person.id, app.shop.id, app.shop.mode, "r".into());
    let strip = async |order: &str, role: Role| {
        let order = order.parse().expect("an id");
        let standing = app
            .services
            .standing(&caller, order)
            .await
            .expect("a standing");
        let banner = Banner::of(&standing, "/r", role).to_string();
        Strip::of(&standing, "/o".to_owned(), role).to_string() + &banner
    };
    let capture = format!("/o/payments/{payment}/capture");
    for (order, role, offered, not) in [
        (
            &paid.order,
            Role::Finance,
            vec!["/o/refund"],
            vec!["/o/cancel", "/capture", "/o/checkout"],
        ),
        (
            &paid.order,
            Role::Operator,
            vec![],
            vec!["/o/refund", "/o/cancel"],
        ),
        (
            &reserved.order,
            Role::Finance,
            vec![capture.as_str(), "/void", "/o/cancel"],
            vec!["/o/refund"],
        ),
        (
            &reserved.order,
            Role::Viewer,
            vec![],
            vec!["/capture", "/o/cancel"],
        ),
        (
            &open.order,
            Role::Operator,
            vec!["/o/cancel", "/o/checkout"],
            vec!["/o/refund"],
        ),
        (
            &late.order,
            Role::Finance,
            vec!["Needs a look", "/accept", "/refund"],
            vec!["/o/cancel"],
        ),
        (
            &late.order,
            Role::Operator,
            vec!["Needs a look"],
            vec!["/accept"],
        ),
    ] {
        let html = strip(order, role).await;
        for link in offered {
            assert!(html.contains(link), "{role} {link}: {html}");
        }
        for link in not {
            assert!(!html.contains(link), "{role} {link}: {html}");
        }
    }
    app.finish().await;
}
