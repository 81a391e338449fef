//! Everything that is not about a body: statuses, headers, pages, CORS and the log.

use super::*;
use crate::http::problem_page;

#[rocket::async_test]
async fn a_wrong_method_is_405_with_allow_and_an_absent_path_404() {
    let client = client().await;
    for (method, path, allow) in [
        (Method::Get, "/v1/orders", "OPTIONS, POST"),
        (Method::Head, "/v1/orders", "OPTIONS, POST"),
        (Method::Put, "/v1/orders/1", "DELETE, GET, HEAD, OPTIONS"),
        (
            Method::Patch,
            "/v1/%6Frders/1?x=y",
            "DELETE, GET, HEAD, OPTIONS",
        ),
        (Method::Trace, "/id", "GET, HEAD"),
        (Method::Options, "/id", "GET, HEAD"),
        (Method::Post, "/problems/not_found", "GET, HEAD"),
    ] {
        let response = client.req(method, path).dispatch().await;
        assert_eq!(
            response.status(),
            Status::MethodNotAllowed,
            "{method} {path}"
        );
        assert_eq!(
            response.headers().get_one("Allow"),
            Some(allow),
            "{method} {path}"
        );
    }
    for path in [
        "/",
        "/nope",
        "/v1/orders/1/nope",
        &format!("/{CANARY}?q={CANARY}"),
    ] {
        let json = problem(client.get(path).dispatch().await, Code::NotFound).await;
        assert_eq!(json["detail"], "No such resource.");
    }
    assert_eq!(
        client.head("/v1/orders/1").dispatch().await.status(),
        Status::Ok
    );
}

#[rocket::async_test]
async fn a_bad_path_parameter_is_404_and_a_bad_query_422() {
    let client = client().await;
    problem(
        client.get("/v1/orders/abc").dispatch().await,
        Code::NotFound,
    )
    .await;
    problem(
        client.get("/v1/orders/abc?x=1").dispatch().await,
        Code::NotFound,
    )
    .await;
    problem(
        client.get("/v1/lists?limit=abc").dispatch().await,
        Code::InvalidRequest,
    )
    .await;
}

#[rocket::async_test]
async fn a_panic_is_an_internal_error_that_says_nothing() {
    let client = client().await;
    problem(client.get("/panic").dispatch().await, Code::InternalError).await;
    problem(
        client.get("/internal").dispatch().await,
        Code::InternalError,
    )
    .await;
    assert_eq!(client.get("/id").dispatch().await.status(), Status::Ok);
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[rocket::async_test]
async fn a_server_error_is_logged_once_with_its_cause_and_nothing_of_the_request() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let client = client().await;
    let _guard = tracing::subscriber::set_default(subscriber);
    let logged = || String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    let secret = || Header::new("Authorization", "Bearer sk_secret");
    client
        .get("/internal?token=sk_secret")
        .header(secret())
        .header(Header::new("Request-Id", "r-1"))
        .dispatch()
        .await;
    let text = logged();
    assert_eq!(
        (
            text.lines().count(),
            text.contains("r-1"),
            text.contains(CANARY)
        ),
        (1, true, true),
        "{text}"
    );
    assert!(
        text.contains("internal_error") && !text.contains("sk_secret"),
        "{text}"
    );
    client
        .get("/panic?token=sk_secret")
        .header(secret())
        .dispatch()
        .await;
    let text = logged();
    assert!(
        text.lines().count() == 1 && text.contains("/panic") && !text.contains("sk_secret"),
        "{text}"
    );
    client.get("/nope?token=sk_secret").dispatch().await;
    assert_eq!(logged(), "", "a client's error is not ours to log");
}

#[rocket::async_test]
async fn a_guard_says_why_but_only_for_its_own_failure() {
    let client = client().await;
    problem(client.get("/refused").dispatch().await, Code::Forbidden).await;
    problem(
        client.get("/tolerant").dispatch().await,
        Code::InternalError,
    )
    .await;
}

#[rocket::async_test]
async fn codes_bring_their_headers() {
    let client = client().await;
    let locked = client.get("/locked").dispatch().await;
    assert_eq!(locked.headers().get_one("WWW-Authenticate"), Some("Bearer"));
    problem(locked, Code::Unauthenticated).await;
    let busy = client.get("/busy").dispatch().await;
    assert_eq!(
        busy.headers().get_one("RateLimit-Policy"),
        Some(r#""orders";q=0;w=60"#)
    );
    assert_eq!(
        busy.headers().get_one("RateLimit"),
        Some(r#""orders";r=0;t=0"#)
    );
    assert_eq!(busy.headers().get_one("Retry-After"), Some("1"));
    problem(busy, Code::RateLimited).await;
    let several = Problem::invalid(vec![FieldError::new("/a", "x"), FieldError::new("/b", "y")]);
    assert_eq!(several.detail(), "2 fields are not valid.");
}

#[rocket::async_test]
async fn a_request_id_is_taken_or_made() {
    let client = client().await;
    let response = client
        .get("/id")
        .header(Header::new("Request-Id", "my_id-1"))
        .dispatch()
        .await;
    assert_eq!(response.headers().get_one("Request-Id"), Some("my_id-1"));
    assert_eq!(response.into_string().await.unwrap(), "my_id-1");
    for given in ["", "a b", "ä", &"a".repeat(129)] {
        let response = client
            .get("/id")
            .header(Header::new("Request-Id", given.to_owned()))
            .dispatch()
            .await;
        let id = response.headers().get_one("Request-Id").unwrap();
        assert!(id.starts_with("req_") && id.len() == 36, "{id}");
        assert_eq!(response.headers().get("Request-Id").count(), 1);
    }
}

#[rocket::async_test]
async fn a_form_cannot_change_the_method() {
    let client = client().await;
    for (path, body) in [
        ("/v1/orders/1", "_method=delete"),
        ("/v1/orders/1", "_method=get&a=b"),
        ("//v1/orders/1", "_method=DELETE"),
    ] {
        let response = client
            .post(path)
            .header(ContentType::Form)
            .body(body)
            .dispatch()
            .await;
        problem(response, Code::UnsupportedMediaType).await;
    }
    let multipart = client
        .post("/webhooks/stripe")
        .header(Header::new(
            "Content-Type",
            "multipart/form-data; boundary=x",
        ))
        .body("--x--");
    problem(multipart.dispatch().await, Code::UnsupportedMediaType).await;
    let staff = client
        .post("/staff/login")
        .header(ContentType::Form)
        .body("a=b")
        .dispatch()
        .await;
    assert_ne!(staff.status(), Status::UnsupportedMediaType);
}

#[rocket::async_test]
async fn long_addresses_are_refused() {
    let client = client().await;
    problem(
        client
            .get(format!("/id?q={}", "x".repeat(9_000)))
            .dispatch()
            .await,
        Code::UriTooLong,
    )
    .await;
    problem(
        client
            .get(format!("/{}", "x".repeat(9_000)))
            .dispatch()
            .await,
        Code::UriTooLong,
    )
    .await;
}

#[rocket::async_test]
async fn browsers_may_call_publishable_routes_and_no_others() {
    let client = client().await;
    let preflight = |path: &'static str| {
        let request = client
            .options(path)
            .header(Header::new("Origin", "https://shop.example"));
        request.header(Header::new("Access-Control-Request-Method", "POST"))
    };
    let response = preflight("/v1/orders").dispatch().await;
    assert_eq!(response.status(), Status::NoContent);
    for (name, value) in [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "POST"),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, Idempotency-Key, Order-Token, Request-Id",
        ),
        ("Access-Control-Max-Age", "600"),
    ] {
        assert_eq!(response.headers().get_one(name), Some(value));
    }
    let actual = client
        .post("/v1/orders")
        .header(ContentType::JSON)
        .body("{}")
        .dispatch()
        .await;
    assert_eq!(
        actual.headers().get_one("Access-Control-Allow-Origin"),
        Some("*")
    );
    assert_eq!(
        actual.headers().get_one("Access-Control-Expose-Headers"),
        Some("Request-Id, Idempotent-Replayed, Retry-After, Location")
    );
    assert!(
        !actual
            .headers()
            .contains("Access-Control-Allow-Credentials")
    );
    assert_eq!(
        preflight("/v1/products/mug").dispatch().await.status(),
        Status::NoContent
    );
    for path in ["/v1/orders/1/cancel", "/id", "/v1/payments"] {
        let response = preflight(path).dispatch().await;
        assert!(
            !response.headers().contains("Access-Control-Allow-Origin"),
            "{path}"
        );
        assert_ne!(response.status(), Status::NoContent, "{path}");
    }
}

#[rocket::async_test]
async fn every_code_has_a_page_in_html_and_json() {
    let client = client().await;
    let index = client
        .get("/problems")
        .dispatch()
        .await
        .into_string()
        .await
        .unwrap();
    for code in Code::ALL {
        let path = format!("/problems/{}", code.as_str());
        assert!(index.contains(&path));
        let page = client
            .get(path.clone())
            .header(Accept::HTML)
            .dispatch()
            .await;
        assert_eq!(page.content_type(), Some(ContentType::HTML));
        assert!(
            page.headers()
                .get_one("Content-Security-Policy")
                .unwrap()
                .contains("style-src 'sha256-")
        );
        let html = page.into_string().await.unwrap();
        assert!(
            html.contains(code.as_str()) && !html.contains("http") && !html.contains("<script"),
            "{html}"
        );
        let json = client
            .get(path.clone())
            .header(Accept::JSON)
            .dispatch()
            .await;
        let json: Value = serde_json::from_str(&json.into_string().await.unwrap()).unwrap();
        assert_eq!(
            (&json["code"], &json["type"]),
            (&Value::from(code.as_str()), &Value::from(path))
        );
    }
    let list = client
        .get("/problems")
        .header(Accept::JSON)
        .dispatch()
        .await
        .into_string()
        .await
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&list).unwrap()["data"]
            .as_array()
            .unwrap()
            .len(),
        Code::ALL.len()
    );
    problem(
        client.get("/problems/nope").dispatch().await,
        Code::NotFound,
    )
    .await;
}

#[test]
fn pages_are_escaped() {
    assert_eq!(
        problem_page::escape("<a b='\"&'>"),
        "&lt;a b=&#39;&quot;&amp;&#39;&gt;"
    );
    assert_eq!(
        problem_page::prose("a `<b>` c"),
        "a <code>&lt;b&gt;</code> c"
    );
}
