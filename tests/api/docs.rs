//! `/docs`: the whole document on one page that needs nothing from elsewhere.
//!
//! The page is compared with `/openapi.json`, and its policy with what is in it.

use base64::Engine as _;
use sha2::Digest as _;

use crate::harness::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_every_operation_and_loads_nothing() {
    let app = TestApp::quiet().await;
    let anybody = app.anonymous();
    let document = anybody.get("/openapi.json").await.expect(200).json;
    let page = anybody.get("/docs").await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let html = &page.text;

    let mut count = 0;
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("an item").values() {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            count += 1;
            assert!(html.contains(&format!("<article id=\"{id}\">")), "{id}");
            assert!(html.contains(&format!("<a href=\"#{id}\">")), "{id}");
        }
    }
    assert!(count >= 10, "{count} operations");
    assert_eq!(html.matches("<article ").count(), count);

    // Problems lead to their pages, headers are named once each, and what is long is left to the document.
    for shown in [
        "<a href=\"/problems/reference_taken\"><code>reference_taken</code></a>",
        "with <code>RateLimit</code>, <code>RateLimit-Policy</code>, <code>Retry-After</code>",
        "<dt><code>Request-Id</code>",
        "Metrics token, or none",
        "<code>partially_paid</code>",
    ] {
        assert!(html.contains(shown), "{shown} is not in the page");
    }
    assert!(!html.contains("u001f") && !html.contains("<code>XPF</code>"));

    // Every link within the page leads somewhere.
    for link in html.split("href=\"#").skip(1) {
        let target = link.split('"').next().expect("a target");
        assert!(html.contains(&format!("id=\"{target}\"")), "{target}");
    }

    let style = html.split("<style>").nth(1).expect("a style sheet");
    let style = style.split("</style>").next().expect("its end");
    let hash = base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(style));
    let policy = page.header("content-security-policy").expect("a policy");
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        )
    );
    for loads in [
        "<script", "<img", "<link", "<iframe", " style=", " src=", "@import", "url(", "onclick",
    ] {
        assert!(!html.contains(loads), "{loads} is in the page");
    }
    assert_eq!(html.matches("href=\"http").count(), 0, "a link elsewhere");

    let again = anybody.get("/docs").await.expect(200);
    assert_eq!(&again.text, html, "rendered once");
    anybody
        .post("/docs", &serde_json::json!({}))
        .await
        .problem(405, "method_not_allowed");
    app.finish().await;
}
