//! Answers of the staff given twice, and questions that another answer must not close: refunds sent again, forms sent
//! again, money that is the order's already, and pages of the queue while questions are answered.

use serde_json::{Value, json};
use till::domain::ids::RefundId;
use till::domain::page::{Cursor, Page};
use till::domain::queue::Place;
use till::domain::resolution::Resolution;
use till::domain::settlement::Reason;
use till::domain::staff::Role;
use till::service::reviews::Resolve;
use till::service::{Caller, ServiceError};

use crate::harness::TestApp;
use crate::harness::actor::fresh_key;
use crate::staff_money::at;
use crate::staff_reviews::{
    cancelled_and_paid, clerk, fail, first, form, holding, offered, resolve, standing,
};

/// What is asked about an order's refunds: the refunds, oldest first.
async fn asked_about(app: &TestApp, clerk: &Caller, order: &str) -> Vec<String> {
    let standing = standing(app, clerk, order).await;
    let mut asked: Vec<String> = standing
        .open_reviews()
        .iter()
        .filter(|review| review.reason == Reason::ProviderDeclinedRefund)
        .map(|review| review.subject.clone())
        .collect();
    asked.sort();
    asked
}

/// The form that sends a refund again.
async fn send_again(app: &TestApp, clerk: &Caller, order: &str, refund: &str) -> Resolve {
    let standing = standing(app, clerk, order).await;
    let open = standing.open_reviews();
    let about = open.iter().find(|review| review.subject == refund);
    let about = about.expect("it is asked about");
    Resolve {
        order: standing.order,
        review: about.id,
        opening: about.opening,
        resolution: Resolution::RefundAgain,
        note: None,
        version: standing.version(),
    }
}

/// Two customers' shares of one payment did not go back. One is sent again: the other is still asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_sent_again_answers_its_own_question_only() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let clerk = clerk(&app);
    let mut failed: Vec<String> = Vec::new();
    for _ in 0..2 {
        let made = shop
            .post(&path, &json!({"amount": "5.00"}))
            .await
            .expect(201);
        failed.push(made.str("id").to_owned());
        let known = made.str("provider_refund_id").to_owned();
        // Both are made before either fails: neither was sent for the other.
        failed.push(known);
    }
    let (one, two) = (failed[0].clone(), failed[2].clone());
    for known in [&failed[1], &failed[3]] {
        fail(&app, known).await;
    }
    assert_eq!(
        asked_about(&app, &clerk, &paid.order).await,
        [one.clone(), two.clone()]
    );
    // The younger question is answered: it is not the oldest of its amount that is closed by it.
    let form = send_again(&app, &clerk, &paid.order, &two).await;
    resolve(&app, &clerk, &form).await.expect("a refund");
    assert_eq!(
        asked_about(&app, &clerk, &paid.order).await,
        std::slice::from_ref(&one)
    );
    let again = shop.refunds_of(&paid.order).await[0].clone();
    let recorded = format!(
        "SELECT repeats_id FROM refund WHERE id = {}",
        quoted(&again)
    );
    assert_eq!(app.texts(&recorded).await, [two]);
    // Fails, too: it is asked about in the place of the one it was sent for.
    fail(&app, again["provider_refund_id"].as_str().expect("an id")).await;
    let again = again["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        asked_about(&app, &clerk, &paid.order).await,
        [one.clone(), again.clone()]
    );
    // A refund that was sent for none takes the place of the oldest of its amount, and of no other.
    shop.post(&path, &json!({"amount": "7.00"}))
        .await
        .expect(201);
    assert_eq!(asked_about(&app, &clerk, &paid.order).await.len(), 2);
    shop.post(&path, &json!({"amount": "5.00"}))
        .await
        .expect(201);
    assert_eq!(asked_about(&app, &clerk, &paid.order).await, [again]);
    assert!(one.parse::<RefundId>().is_ok());
    app.finish().await;
}

fn quoted(refund: &Value) -> String {
    format!("'{}'", refund["id"].as_str().expect("an id"))
}

/// All of the payment was to go back, so that nothing is left to send once it did.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_sends_a_refund_again_is_told_what_it_did_when_it_comes_twice() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let made = shop.post(&path, &json!({})).await.expect(201);
    fail(&app, made.str("provider_refund_id")).await;
    let clerk = clerk(&app);
    let form = form(&app, &clerk, &paid.order, Resolution::RefundAgain).await;
    let key = fresh_key();
    for replayed in [false, true, true] {
        let answer = app.services.resolve(&clerk, &key, &form).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.replayed), (201, replayed));
        assert!(answer.body.contains("\"25.00\""), "{}", answer.body);
    }
    assert_eq!(shop.refunds_of(&paid.order).await.len(), 2);
    assert_eq!(app.effects("refund.created").await.len(), 2);
    // The key is of that form only.
    let other = Resolve {
        note: Some("another".to_owned()),
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
async fn a_form_that_releases_money_is_told_what_it_did_when_it_comes_twice() {
    let app = holding().await;
    let shop = app.merchant().await;
    let (reserved, payment) = shop.reserved(&app).await;
    // As if the order had been made for another amount: what is reserved is nobody's.
    let look = app.look().await;
    let sql = format!(
        "UPDATE checkout_session SET amount_minor = 2400 WHERE id = '{}'",
        reserved.session
    );
    sea_orm::ConnectionTrait::execute_unprepared(&look, &sql)
        .await
        .expect("another amount");
    look.close().await.expect("closes");
    let refresh = format!("/v1/checkout_sessions/{}?refresh=true", reserved.session);
    shop.get(&refresh).await.expect(200);
    let clerk = clerk(&app);
    let form = form(&app, &clerk, &reserved.order, Resolution::Release).await;
    let key = fresh_key();
    for replayed in [false, true] {
        let answer = app.services.resolve(&clerk, &key, &form).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.replayed), (200, replayed));
        assert!(answer.body.contains(&payment), "{}", answer.body);
    }
    app.finish().await;
}

/// A webhook that nobody believes asks about a session whose money is the order's.
#[tokio::test(flavor = "multi_thread")]
async fn about_money_that_is_the_orders_there_is_nothing_to_decide() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let kind = "checkout.session.completed";
    let mut event = app.provider_event(kind, &paid).await;
    event["id"] = json!(format!("evt_odd_{}", paid.session));
    event["data"]["object"]["amount_total"] = json!(2501);
    app.deliver(&event).await.expect(200);
    let clerk = clerk(&app);
    let seen = standing(&app, &clerk, &paid.order).await;
    let open = seen.open_reviews();
    assert_eq!(open.len(), 1);
    let money = seen.money_of(open[0]).expect("the session's payment");
    assert_eq!(
        (money.id.to_string(), money.belongs, open[0].reason),
        (payment, true, Reason::AmountMismatch)
    );
    assert_eq!(
        offered(&app, &clerk, &paid.order).await,
        [Resolution::Ask, Resolution::Acknowledge]
    );
    // The provider is asked, and the webhook was wrong.
    app.work().await;
    assert_eq!(shop.order(&paid.order).await["review"], Value::Null);
    app.finish().await;
}

/// Three questions by pages of two, and one of a time; whatever is answered in between, none is skipped or shown twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_queue_follows_the_one_before_while_questions_are_answered() {
    let app = holding().await;
    let shop = app.merchant().await;
    let mut late = Vec::new();
    for _ in 0..4 {
        late.push(cancelled_and_paid(&app, &shop).await.order);
        app.advance(60).await;
    }
    // A dispute has a time by which it must be answered: it comes first, though it is the youngest.
    let (disputed, _) = shop.paid(&app).await;
    let act = format!("sessions/{}/dispute", disputed.at_provider);
    app.simulate(&act, &json!({})).await;
    for event in app.provider_events("charge.dispute.created").await {
        app.deliver(&event).await.expect(200);
    }
    let clerk = clerk(&app);
    let list = async |limit, cursor| {
        let page = Page { limit, cursor };
        let found = app.services.open_reviews(&clerk, None, &page).await;
        found.expect("a page")
    };
    let all = list(10, Cursor::Newest).await;
    let orders: Vec<String> = all.rows.iter().map(|open| open.order.to_string()).collect();
    let expected: Vec<&String> = std::iter::once(&disputed.order).chain(&late).collect();
    assert_eq!(orders.iter().collect::<Vec<_>>(), expected);
    for limit in 1..=3 {
        let (mut seen, mut cursor) = (Vec::new(), Cursor::Newest);
        loop {
            let page = list(limit, cursor).await;
            seen.extend(page.rows.iter().map(|open| open.review.id));
            let Some(last) = page.rows.last().filter(|_| page.has_more) else {
                break;
            };
            cursor = Cursor::StartingAfter(Place::of(&last.review));
            // And back again.
            let back = list(limit, Cursor::EndingBefore(Place::of(&last.review))).await;
            let behind: Vec<_> = back.rows.iter().map(|open| open.review.id).collect();
            let before = &seen[..seen.len() - 1];
            let from = before
                .len()
                .saturating_sub(usize::try_from(limit).expect("few"));
            assert_eq!(behind, &before[from..]);
        }
        assert_eq!(seen, ids(&all.rows), "by {limit}");
    }
    // The first page is read; then what is on it is answered.
    let page = app.services.open_reviews(&clerk, None, &first(2)).await;
    let page = page.expect("a page");
    let last = Place::of(&page.rows[1].review);
    let accept = form(&app, &clerk, &late[0], Resolution::Accept).await;
    resolve(&app, &clerk, &accept).await.expect("accepted");
    let next = list(2, Cursor::StartingAfter(last)).await;
    assert_eq!(ids(&next.rows), &ids(&all.rows)[2..4]);
    let viewer = app.person(Role::Viewer).await;
    let page = viewer
        .get(&at(&app, &format!("reviews?after={last}")))
        .await;
    let page = page.expect(200).text;
    for (at, order) in orders.iter().enumerate() {
        assert_eq!(
            page.contains(&format!("orders/{order}")),
            at >= 2,
            "{order}"
        );
    }
    let before = viewer
        .get(&at(&app, &format!("reviews?before={last}&reason=dispute")))
        .await;
    let before = before.expect(200).text;
    assert!(before.contains(&disputed.order) && !before.contains(&late[1]));
    app.finish().await;
}

fn ids(open: &[till::service::reviews::OpenReview]) -> Vec<till::domain::ids::ReviewId> {
    open.iter().map(|open| open.review.id).collect()
}
