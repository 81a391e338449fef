//! What the audit log says came of an action: done, the same form again, refused and why, and nothing where the process
//! ended before there was an outcome.

use till::domain::audit::Action;
use till::domain::resolution::Resolution;
use till::domain::staff::Role;
use till::service::audit::{Act, Who};

use crate::harness::TestApp;
use crate::staff_actions::{fields, order_page, send};
use crate::staff_reviews::{cancelled_and_paid, holding};

/// What came of the acts of a kind, oldest first.
async fn outcomes(app: &TestApp, action: Action) -> Vec<String> {
    let sql = format!(
        "SELECT COALESCE(o.outcome || COALESCE(' ' || o.code, ''), '-') FROM audit_entry e \
         LEFT JOIN audit_outcome o ON o.id = e.id WHERE e.action = '{action}' ORDER BY e.id"
    );
    app.texts(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_was_done_from_what_was_refused_or_repeated() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let finance = app.person(Role::Finance).await;
    let base = order_page(&app, &paid.order);
    let query = format!("{base}/refund?payment={payment}&share=amount&amount=5.00");
    let path = format!("{base}/refund");
    let form = fields(&finance.get(&query).await.expect(200).text);
    let stale = fields(&finance.get(&query).await.expect(200).text);
    for _ in 0..2 {
        send(&finance, &path, &form).await.expect(303);
    }
    // Drawn before the order changed.
    send(&finance, &path, &stale).await.expect(409);
    assert_eq!(
        outcomes(&app, Action::RefundCreate).await,
        ["done", "repeated", "refused changed"]
    );
    // A process that ends before there is an outcome leaves the entry.
    let who = Who {
        staff: Some(finance.id),
        address: None,
        request_id: Some("req_lost".to_owned()),
    };
    let act = Act::new(&who, Action::RefundCreate).about("order", &paid.order);
    app.services.record(act).await.expect("an entry");
    let page = finance
        .get("/staff/audit?action=refund.create")
        .await
        .expect(200)
        .text;
    let rows: Vec<&str> = page.split("<tr>").skip(2).collect();
    assert_eq!(rows.len(), 4, "{page}");
    for (row, told) in rows.iter().zip([
        "No outcome is recorded",
        "Refused, nothing was done: changed",
        "The same form again: done once, before",
        "Done",
    ]) {
        assert!(row.contains(told), "{told}: {row}");
    }
    assert_eq!(shop.refunds_of(&paid.order).await.len(), 1);
    // A look has no outcome, and none is missed.
    let looks = finance.get("/staff/audit?action=order.view").await;
    assert!(!looks.expect(200).text.contains("No outcome"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_of_an_order_has_its_outcome() {
    let app = holding().await;
    let shop = app.merchant().await;
    let finance = app.person(Role::Finance).await;
    let (reserved, payment) = shop.reserved(&app).await;
    let base = order_page(&app, &reserved.order);
    for (verb, status) in [("capture", 303), ("void", 409)] {
        let page = format!("{base}/payments/{payment}/{verb}");
        let drawn = finance
            .get(&format!("{base}/payments/{payment}/void"))
            .await
            .text;
        let form = match verb {
            "capture" => fields(&drawn),
            // It was taken meanwhile: there is no page any more, but there may be an old form.
            _ => vec![("idempotency_key".to_owned(), "an-old-form".to_owned())],
        };
        let answer = finance.post(&page, &borrowed(&form)).await;
        answer.expect(status);
    }
    assert_eq!(outcomes(&app, Action::PaymentCapture).await, ["done"]);
    let refused = outcomes(&app, Action::PaymentVoid).await;
    assert!(
        refused.len() == 1 && refused[0].starts_with("refused "),
        "{refused:?}"
    );
    let late = cancelled_and_paid(&app, &shop).await;
    let clerk = crate::staff_reviews::clerk(&app);
    let form = crate::staff_reviews::form(&app, &clerk, &late.order, Resolution::Accept).await;
    let path = format!("/staff/{}/reviews/{}/accept", app.shop.id, form.review);
    let opening = form.opening.to_string();
    for (version, status) in [("old", 409), (form.version.as_str(), 303)] {
        let key = crate::harness::actor::fresh_key();
        let given = [
            ("opening", opening.as_str()),
            ("version", version),
            ("idempotency_key", key.as_str()),
        ];
        finance.post(&path, &given).await.expect(status);
    }
    assert_eq!(
        outcomes(&app, Action::ReviewResolve).await,
        ["refused changed", "done"]
    );
    app.finish().await;
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "csrf")
        .collect()
}
