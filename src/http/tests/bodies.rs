//! Bodies as a client sends them whole: content types, JSON, shapes, sizes.

use std::time::Duration;

use super::*;

#[rocket::async_test]
async fn a_good_body_passes() {
    let client = client().await;
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
    ] {
        let request = client
            .post("/v1/orders")
            .body(r#"{"quantity":2}"#)
            .header(Header::new("Content-Type", content_type));
        let response = request.dispatch().await;
        assert_eq!(response.status(), Status::Ok, "{content_type}");
        assert_eq!(
            response.headers().get_one("Cache-Control"),
            Some("no-store")
        );
        assert_eq!(response.into_string().await.unwrap(), "\"2 false\"");
    }
}

#[rocket::async_test]
async fn only_json_is_taken_for_json() {
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/problem+json",
        "application/json; version=2",
        "nonsense",
        "",
    ] {
        refuses(
            format!(r#"{{"quantity":2,"x":"{CANARY}"}}"#),
            content_type,
            Code::UnsupportedMediaType,
        )
        .await;
    }
    let client = client().await;
    problem(
        client.post("/v1/orders").body("{}").dispatch().await,
        Code::UnsupportedMediaType,
    )
    .await;
    let gzip = client
        .post("/v1/orders")
        .body("{}")
        .header(ContentType::JSON)
        .header(Header::new("Content-Encoding", "gzip"));
    problem(gzip.dispatch().await, Code::UnsupportedMediaType).await;
}

#[rocket::async_test]
async fn malformed_json_names_the_place_and_not_the_body() {
    let json = refuses(
        format!("{{\"quantity\":\n{CANARY}}}"),
        "application/json",
        Code::MalformedJson,
    )
    .await;
    assert_eq!(
        json["detail"],
        "The body is not valid JSON: expected value at line 2 column 1."
    );
    for body in [
        &b""[..],
        b"{",
        b"{\"quantity\":1}{}",
        b"\xff\xfe",
        b"{\"quantity\":\"\xc3\x28\"}",
        b"\xef\xbb\xbf{}",
        br#"{"a":"\ud800"}"#,
    ] {
        let json = refuses(body, "application/json", Code::MalformedJson).await;
        assert!(json.get("errors").is_none());
    }
}

#[rocket::async_test]
async fn shape_errors_have_a_pointer_and_no_value() {
    let json = refuses(
        format!(r#"{{"quantity":"{CANARY}"}}"#),
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    let detail = "expected a whole number between 0 and 4294967295, found a string";
    assert_eq!(
        json["errors"],
        serde_json::json!([{"pointer": "/quantity", "detail": detail}])
    );
    let json = refuses(
        r#"{"quantity":1,"metadata":{"a":{"b":1,"b":2}}}"#,
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    assert_eq!(json["errors"][0]["pointer"], "/metadata/a/b");
    let json = refuses(
        format!(r#"{{"quantity":1,"{CANARY} x":1}}"#),
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    assert_eq!(json["errors"][0]["pointer"], "");
}

#[rocket::async_test]
async fn large_and_deep_bodies_are_refused_cheaply() {
    let started = std::time::Instant::now();
    refuses(
        "[".repeat(1_000_000),
        "application/json",
        Code::PayloadTooLarge,
    )
    .await;
    refuses(
        "[".repeat(200_000),
        "application/json",
        Code::InvalidRequest,
    )
    .await;
    refuses(
        "x".repeat(2 << 20),
        "application/json",
        Code::PayloadTooLarge,
    )
    .await;
    refuses(
        " ".repeat((256 << 10) + 1),
        "application/json",
        Code::PayloadTooLarge,
    )
    .await;
    refuses(
        " ".repeat(256 << 10),
        "application/json",
        Code::MalformedJson,
    )
    .await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let client = client().await;
    problem(
        client
            .post("/webhooks/stripe")
            .body("x".repeat(2 << 20))
            .dispatch()
            .await,
        Code::PayloadTooLarge,
    )
    .await;
    let taken = client
        .post("/webhooks/stripe")
        .body("x".repeat(200 << 10))
        .dispatch()
        .await;
    assert_eq!(taken.into_string().await.unwrap(), "204800");
}

#[rocket::async_test]
async fn an_optional_body_may_be_left_out_but_not_wrong() {
    let client = client().await;
    let none = client.post("/v1/orders/1/cancel").dispatch().await;
    assert_eq!(none.into_string().await.unwrap(), "none");
    let none = client
        .post("/v1/orders/1/cancel")
        .header(ContentType::Form)
        .dispatch()
        .await;
    assert_eq!(none.into_string().await.unwrap(), "none");
    let some = client
        .post("/v1/orders/1/cancel")
        .header(ContentType::JSON)
        .body(r#"{"quantity":1}"#)
        .dispatch()
        .await;
    assert_eq!(some.into_string().await.unwrap(), "some");
    problem(
        client
            .post("/v1/orders/1/cancel")
            .body("{}")
            .dispatch()
            .await,
        Code::UnsupportedMediaType,
    )
    .await;
    let wrong = client
        .post("/v1/orders/1/cancel")
        .header(ContentType::JSON)
        .body("{}");
    problem(wrong.dispatch().await, Code::InvalidRequest).await;
}
