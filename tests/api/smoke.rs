//! The main job, end to end: placed, checked out, paid by webhook, read.

use serde_json::json;

use crate::harness::{TestApp, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_placed_to_paid_by_webhook() {
    let app = TestApp::start().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await;
    let id = order.str("id").to_owned();
    assert_eq!(order.json["total"], "25.00");
    assert_eq!(order.json["payment_status"], "unpaid");
    let session = shop.check_out(&id).await.expect(201);
    assert_eq!(session.json["status"], "open");
    let at_provider = session.str("provider_session_id").to_owned();
    app.simulate(&format!("sessions/{at_provider}/pay"), &json!({}))
        .await;
    eventually("the order is paid", async || {
        shop.order(&id).await["payment_status"] == "paid"
    })
    .await;
    let paid = shop.order(&id).await;
    assert_eq!(paid["amount_paid"], "25.00");
    assert_eq!(paid["status"], "open");
    assert!(paid["review"].is_null());
    app.finish().await;
}
