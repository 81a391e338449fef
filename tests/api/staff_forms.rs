//! Forms of the staff console are believed only when they were drawn for the session they come with: each of the ways
//! another site could send one is tried, and nothing must have been done.

use reqwest::Method;
use till::domain::staff::Role;

use crate::harness::person::Person;
use crate::harness::{Answer, TestApp};

const FORM: &str = "application/x-www-form-urlencoded";
const PATH: &str = "/staff/account/sign-out";

/// A form as another page would send it: with these headers and this body.
async fn sent(person: &Person, headers: &[(&str, &str)], content_type: &str, body: &str) -> Answer {
    let request = person.request(Method::POST, PATH).build();
    let mut request = request.expect("a request");
    request.headers_mut().remove("sec-fetch-site");
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let mut builder = client
        .request(Method::POST, request.url().clone())
        .header("Content-Type", content_type)
        .body(body.to_owned());
    for (name, value) in request.headers() {
        builder = builder.header(name, value);
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    Answer::read(builder.send().await.expect("Till answers")).await
}

async fn is_signed_in(person: &Person) -> bool {
    person.get("/staff/account").await.status == 200
}

/// What it is, its headers, and the form.
type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], &'c str);

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_page_does_nothing() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    let other = app.person(Role::Viewer).await;
    let mut later = person.another_browser();
    later.sign_in().await.expect(303);
    assert_ne!(person.csrf, later.csrf, "each session has its own");

    let good = format!("csrf={}", person.csrf);
    let here: &[(&str, &str)] = &[("Sec-Fetch-Site", "same-origin")];
    let origin_here = person.request(Method::GET, "/").build().expect("a request");
    let origin_here = origin_here.url().origin().ascii_serialization();
    let cases: &[Case] = &[
        ("no token", here, ""),
        ("an empty token", here, "csrf="),
        ("a wrong token", here, "csrf=AAAA"),
        (
            "the session's token",
            here,
            &format!("csrf={}", person.cookie.as_deref().expect("a cookie")),
        ),
        (
            "somebody else's token",
            here,
            &format!("csrf={}", other.csrf),
        ),
        (
            "another session's token",
            here,
            &format!("csrf={}", later.csrf),
        ),
        ("two tokens", here, &format!("{good}&{good}")),
        (
            "from another site",
            &[("Sec-Fetch-Site", "cross-site")],
            &good,
        ),
        (
            "from a sister site",
            &[("Sec-Fetch-Site", "same-site")],
            &good,
        ),
        ("from nowhere", &[("Sec-Fetch-Site", "none")], &good),
        (
            "of another origin",
            &[("Origin", "https://evil.example")],
            &good,
        ),
        ("of no origin", &[("Origin", "null")], &good),
        (
            "of our origin by another site",
            &[("Sec-Fetch-Site", "cross-site"), ("Origin", &origin_here)],
            &good,
        ),
    ];
    for (what, headers, body) in cases {
        let answer = sent(&person, headers, FORM, body).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.text);
        assert!(answer.text.contains("Nothing was done"), "{what}");
        assert!(is_signed_in(&person).await, "{what}");
    }
    for content_type in [
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
    ] {
        let answer = sent(&person, here, content_type, &good).await;
        assert!([400, 415].contains(&answer.status), "{content_type}");
    }
    assert!(is_signed_in(&person).await);
    let answer = sent(&person, &[("Origin", &origin_here)], FORM, &good).await;
    answer.expect(303);
    assert!(!is_signed_in(&person).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_in_by_another_site() {
    let app = TestApp::quiet().await;
    let person = app.newcomer(Role::Viewer, None).await;
    let body = format!(
        "email={}&password={}",
        person.email,
        person.password.replace(' ', "+")
    );
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
    ] {
        let request = app
            .http
            .post(format!("{}/staff/sign-in", app.base_url))
            .header("Content-Type", FORM)
            .header(name, value)
            .body(body.clone());
        let answer = Answer::read(request.send().await.expect("Till answers")).await;
        assert_eq!(answer.clone().expect(403).header("set-cookie"), None);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_cannot_change_its_method() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    for method in ["get", "delete", "put"] {
        let body = format!("_method={method}&csrf={}", person.csrf);
        let here = [("Sec-Fetch-Site", "same-origin")];
        let answer = sent(&person, &here, FORM, &body).await;
        assert_eq!(answer.status, 415, "{method}");
    }
    assert!(is_signed_in(&person).await);
    app.finish().await;
}
