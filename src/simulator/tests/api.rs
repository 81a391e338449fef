//! The API's contract: objects, validation, authorisation, idempotency, lists.
use serde_json::json;

use super::harness::{BASKET, Bench, answer, items, text};

#[tokio::test]
async fn a_new_session_is_open_unpaid_and_without_intent() {
    let bench = Bench::start().await;
    let (status, session) = bench.post("/v1/checkout/sessions", BASKET).await;
    assert_eq!(status, 200, "{session}");
    let id = text(&session["id"]);
    assert!(id.starts_with("cs_test_") && id.len() == 66);
    assert_eq!(session["amount_total"], 2100);
    assert_eq!(session["status"], "open");
    assert_eq!(session["payment_status"], "unpaid");
    assert!(session["payment_intent"].is_null());
    assert_eq!(session["url"], format!("{}/pay/{id}", bench.url));
    assert_eq!(session["metadata"], json!({ "order": "o_1" }));
    assert!(session["line_items"].is_null());
    let (_, lines) = bench
        .get(&format!("/v1/checkout/sessions/{id}/line_items"))
        .await;
    assert_eq!(items(&lines)[0]["quantity"], 2);
    let (_, session) = bench
        .get(&format!("/v1/checkout/sessions/{id}?expand[]=line_items"))
        .await;
    assert_eq!(items(&session["line_items"])[0]["amount_total"], 2100);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn wrong_parameters_are_refused_as_stripe_refuses_them() {
    let bench = Bench::start().await;
    let now = bench
        .client
        .get(format!("{}/_simulator/clock", bench.url))
        .send()
        .await;
    let (_, clock) = answer(now.expect("an answer")).await;
    let soon = clock["now"].as_i64().expect("a time") + 60;
    let yen = BASKET.replace("[currency]=usd", "[currency]=isk");
    let upper = BASKET.replace("=usd", "=USD");
    let cases = [
        (
            format!("{BASKET}&colour=red"),
            "parameter_unknown",
            "colour",
        ),
        (
            format!("{BASKET}&line_items[0][x]=1"),
            "parameter_unknown",
            "line_items[0][x]",
        ),
        (
            BASKET.replace("mode=payment", "mode="),
            "parameter_missing",
            "mode",
        ),
        (
            BASKET.replace("success_url=https", "success_url=javascript"),
            "url_invalid",
            "success_url",
        ),
        (
            BASKET.replace("=1050", "=10.5"),
            "parameter_invalid_integer",
            UNIT,
        ),
        (
            BASKET.replace("=1050", "=-1"),
            "parameter_invalid_integer",
            UNIT,
        ),
        (
            BASKET.replace("=1050", "=0"),
            "amount_too_small",
            "line_items",
        ),
        (
            BASKET.replace("=1050", "=999999999999"),
            "amount_too_large",
            "line_items",
        ),
        (
            BASKET.replace("[quantity]=2", "[quantity]=0"),
            "",
            "line_items[0][quantity]",
        ),
        (upper, "", "line_items[0][price_data][currency]"),
        (yen, "", UNIT),
        (format!("{BASKET}&expires_at={soon}"), "", "expires_at"),
        (
            format!("{BASKET}&customer_email=nobody"),
            "email_invalid",
            "customer_email",
        ),
        (format!("{BASKET}&expand[]=wrong"), "", "expand"),
        (
            format!("{BASKET}&metadata[a]={}", "x".repeat(501)),
            "",
            "metadata[a]",
        ),
    ];
    for (form, code, param) in cases {
        let (status, body) = bench.post("/v1/checkout/sessions", &form).await;
        assert_eq!(status, 400, "{form}: {body}");
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(
            body["error"]["code"].as_str().unwrap_or_default(),
            code,
            "{body}"
        );
        assert_eq!(body["error"]["param"], param, "{body}");
    }
    bench.simulator.stop().await;
}

const UNIT: &str = "line_items[0][price_data][unit_amount]";

#[tokio::test]
async fn only_test_keys_are_let_in_and_unknown_addresses_are_errors() {
    let bench = Bench::start().await;
    for key in ["", "sk_live_1", "pk_test_1"] {
        let request = bench
            .client
            .get(format!("{}/v1/balance", bench.url))
            .bearer_auth(key);
        assert_eq!(
            answer(request.send().await.expect("an answer")).await.0,
            401,
            "{key}"
        );
    }
    assert_eq!(bench.get("/v1/balance").await.0, 200);
    assert_eq!(bench.get("/v1/account").await.1["object"], "account");
    let (status, body) = bench.get("/v1/customers").await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (404, &json!("invalid_request_error"))
    );
    let (status, body) = bench.get("/v1/refunds/re_none").await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &json!("resource_missing"))
    );
    assert_eq!(bench.get("/elsewhere").await.0, 404);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_key_replays_its_answer_and_refuses_another_request() {
    let bench = Bench::start().await;
    let path = "/v1/checkout/sessions";
    let first = bench
        .send(path, BASKET, Some("k1"))
        .await
        .expect("an answer");
    assert!(first.headers().get("Idempotent-Replayed").is_none());
    assert!(
        first.headers()["Request-Id"]
            .to_str()
            .expect("ascii")
            .starts_with("req_")
    );
    let first = answer(first).await;
    let again = bench
        .send(path, BASKET, Some("k1"))
        .await
        .expect("an answer");
    assert_eq!(again.headers()["Idempotent-Replayed"], "true");
    assert_eq!(answer(again).await, first);

    let other = format!("{BASKET}&locale=de");
    let (status, body) = answer(
        bench
            .send(path, &other, Some("k1"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (400, &json!("idempotency_error"))
    );
    let expire = format!("{path}/{}/expire", text(&first.1["id"]));
    let (status, body) = answer(
        bench
            .send(&expire, "", Some("k1"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (400, &json!("idempotency_error"))
    );

    // Failed validation is not remembered; a day later the key is new.
    let (status, _) = answer(
        bench
            .send(path, "mode=x", Some("k2"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!(status, 400);
    let (status, _) = answer(
        bench
            .send(path, BASKET, Some("k2"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!(status, 200);
    bench
        .control("/clock/advance", json!({ "seconds": 86_401 }))
        .await;
    let later = answer(
        bench
            .send(path, BASKET, Some("k1"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_ne!(later.1["id"], first.1["id"]);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn a_key_is_in_use_until_its_late_answer_is_given() {
    let bench = Bench::start().await;
    let fault = json!({ "on": "checkout.session.create", "do": "delay:600" });
    bench.control("/faults", fault).await;
    let path = "/v1/checkout/sessions";
    let late = bench.send(path, BASKET, Some("k"));
    let early = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        answer(
            bench
                .send(path, BASKET, Some("k"))
                .await
                .expect("an answer"),
        )
        .await
    };
    let (late, early) = tokio::join!(late, early);
    assert_eq!(early.0, 409);
    assert_eq!(early.1["error"]["code"], "idempotency_key_in_use");
    let late = answer(late.expect("an answer")).await;
    assert_eq!(late.0, 200);
    let after = answer(
        bench
            .send(path, BASKET, Some("k"))
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!(after, late);
    bench.simulator.stop().await;
}

#[tokio::test]
async fn lists_page_and_filter() {
    let bench = Bench::start().await;
    let mut ids = vec![];
    for _ in 0..5 {
        ids.push(bench.session().await);
    }
    ids.reverse();
    let (_, page) = bench.get("/v1/checkout/sessions?limit=2").await;
    assert_eq!(
        (&page["data"][0]["id"], &page["has_more"]),
        (&json!(ids[0]), &json!(true))
    );
    let rest = format!("/v1/checkout/sessions?limit=10&starting_after={}", ids[1]);
    let (_, page) = bench.get(&rest).await;
    let listed: Vec<_> = items(&page).iter().map(|row| text(&row["id"])).collect();
    assert_eq!(
        (listed, &page["has_more"]),
        (ids[2..].to_vec(), &json!(false))
    );
    let before = format!("/v1/checkout/sessions?limit=1&ending_before={}", ids[2]);
    assert_eq!(bench.get(&before).await.1["data"][0]["id"], ids[1]);
    let (_, none) = bench.get("/v1/checkout/sessions?created[lte]=1000").await;
    assert!(items(&none).is_empty());

    let (session, intent, charge) = bench.paid("").await;
    let by_intent = format!("/v1/checkout/sessions?payment_intent={intent}");
    let (_, page) = bench.get(&by_intent).await;
    assert_eq!(
        (items(&page).len(), &page["data"][0]["id"]),
        (1, &json!(session))
    );
    let (_, page) = bench
        .get(&format!("/v1/balance_transactions?source={charge}"))
        .await;
    assert_eq!(
        (&page["data"][0]["amount"], &page["data"][0]["fee"]),
        (&json!(2100), &json!(90))
    );
    let (_, page) = bench
        .get("/v1/events?types[]=charge.succeeded&types[]=payment_intent.created")
        .await;
    assert_eq!(items(&page).len(), 2);
    let deep = "?expand[]=payment_intent.latest_charge.balance_transaction";
    let (_, body) = bench
        .get(&format!("/v1/checkout/sessions/{session}{deep}"))
        .await;
    let found = &body["payment_intent"]["latest_charge"]["balance_transaction"]["net"];
    assert_eq!(found, 2010);
    bench.simulator.stop().await;
}
