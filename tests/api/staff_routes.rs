//! Who may open what: every route of the console with every role, walked over the routes as they are mounted. A route
//! that is missing in the table below fails the test, and so does one that asks for another role than the table says.

use reqwest::Method;
use till::domain::access::Mode;
use till::domain::staff::Role;

use crate::harness::person::Person;
use crate::harness::{Answer, TestApp};

/// Method, path below `/staff`, and the least role; none for what needs no session.
const TABLE: &[(&str, &str, Option<Role>)] = &[
    ("GET", "/assets/<name>", None),
    ("GET", "/sign-in", None),
    ("POST", "/sign-in", None),
    ("POST", "/sign-out", Some(Role::Viewer)),
    ("GET", "/", Some(Role::Viewer)),
    ("GET", "/account", Some(Role::Viewer)),
    ("POST", "/account/password", Some(Role::Viewer)),
    ("POST", "/account/sign-out", Some(Role::Viewer)),
    ("POST", "/account/sessions/<id>/end", Some(Role::Viewer)),
    ("GET", "/audit", Some(Role::Viewer)),
    ("GET", "/people", Some(Role::Admin)),
    ("POST", "/people", Some(Role::Admin)),
    ("GET", "/people/<id>", Some(Role::Admin)),
    ("POST", "/people/<id>/role", Some(Role::Admin)),
    ("POST", "/people/<id>/disable", Some(Role::Admin)),
    ("POST", "/people/<id>/enable", Some(Role::Admin)),
    ("POST", "/people/<id>/password", Some(Role::Admin)),
    ("POST", "/people/<id>/sign-out", Some(Role::Admin)),
    ("GET", "/orders/<id>", Some(Role::Viewer)),
    ("GET", "/<_>", Some(Role::Viewer)),
    ("GET", "/<_>/payments", Some(Role::Viewer)),
    ("GET", "/<_>/payments/<id>", Some(Role::Viewer)),
    ("POST", "/<_>/payments/<id>/ask", Some(Role::Operator)),
    ("GET", "/<_>/refunds", Some(Role::Viewer)),
    ("GET", "/<_>/refunds/<id>", Some(Role::Viewer)),
    ("GET", "/<_>/webhooks", Some(Role::Viewer)),
    ("GET", "/<_>/webhooks/<id>", Some(Role::Viewer)),
    ("GET", "/<_>/webhooks/<id>/preview", Some(Role::Operator)),
    ("POST", "/<_>/webhooks/<id>/replay", Some(Role::Operator)),
    ("POST", "/<_>/webhooks/replay", Some(Role::Operator)),
    ("GET", "/<_>/calls", Some(Role::Viewer)),
    ("GET", "/<_>/calls/<id>", Some(Role::Viewer)),
    ("POST", "/<_>/calls/<id>/retry", Some(Role::Operator)),
    ("GET", "/<_>/health", Some(Role::Viewer)),
    ("GET", "/<_>/ledger", Some(Role::Viewer)),
    ("GET", "/<_>/ledger/transactions.csv", Some(Role::Finance)),
    ("GET", "/<_>/findings", Some(Role::Viewer)),
    ("POST", "/<_>/findings", Some(Role::Finance)),
    ("GET", "/<_>/orders", Some(Role::Viewer)),
    ("GET", "/<_>/orders/export.csv", Some(Role::Viewer)),
    ("GET", "/<_>/orders/export.ndjson", Some(Role::Viewer)),
    ("GET", "/<_>/orders/<id>", Some(Role::Viewer)),
    ("GET", "/<_>/orders/<id>/refund", Some(Role::Finance)),
    ("POST", "/<_>/orders/<id>/refund", Some(Role::Finance)),
    (
        "GET",
        "/<_>/orders/<id>/payments/<payment>/capture",
        Some(Role::Finance),
    ),
    (
        "POST",
        "/<_>/orders/<id>/payments/<payment>/capture",
        Some(Role::Finance),
    ),
    (
        "GET",
        "/<_>/orders/<id>/payments/<payment>/void",
        Some(Role::Finance),
    ),
    (
        "POST",
        "/<_>/orders/<id>/payments/<payment>/void",
        Some(Role::Finance),
    ),
    ("GET", "/<_>/orders/<id>/cancel", Some(Role::Operator)),
    ("POST", "/<_>/orders/<id>/cancel", Some(Role::Operator)),
    ("GET", "/<_>/orders/<id>/checkout", Some(Role::Operator)),
    ("POST", "/<_>/orders/<id>/checkout", Some(Role::Operator)),
    ("POST", "/<_>/orders/<id>/notes", Some(Role::Operator)),
    ("GET", "/<_>/reviews", Some(Role::Viewer)),
    ("GET", "/<_>/reviews/<id>", Some(Role::Viewer)),
    ("GET", "/<_>/reviews/<id>/<resolution>", Some(Role::Finance)),
    (
        "POST",
        "/<_>/reviews/<id>/<resolution>",
        Some(Role::Finance),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_table_names_every_route_of_the_console() {
    let app = TestApp::quiet().await;
    let mut mounted = app.console_routes().await;
    let mut named: Vec<String> = TABLE
        .iter()
        .map(|(method, path, _)| format!("{method} /staff{}", path.trim_end_matches('/')))
        .collect();
    mounted.sort();
    named.sort();
    assert_eq!(mounted, named);
    app.finish().await;
}

/// An address of a route: the shop, then things that are not there.
fn address(path: &str, shop: &str) -> String {
    let path = path.replacen("<_>", shop, 1);
    let segments = path.split('/').map(|segment| match segment {
        "<name>" => "till.css",
        parameter if parameter.starts_with('<') => "nothing",
        word => word,
    });
    format!("/staff{}", segments.collect::<Vec<_>>().join("/"))
}

async fn open(person: &Person, method: &str, address: &str) -> Answer {
    match method {
        "GET" => person.get(address).await,
        // Without a token it is refused after the role was found good, and does nothing.
        _ => person.post_as_is(address, &[]).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_opens_to_its_role_and_those_above_it() {
    let app = TestApp::quiet().await;
    let mut people = Vec::new();
    for role in Role::ALL {
        people.push((*role, app.person(*role).await));
    }
    let shop = app.shop.id.to_string();
    for (method, path, least) in TABLE {
        let Some(least) = least else { continue };
        let at = address(path, &shop);
        for (role, person) in &people {
            let answer = open(person, method, &at).await;
            let by_role = answer.status == 403 && answer.text.contains("This needs the role");
            assert_eq!(
                by_role,
                role < least,
                "{role}: {method} {at}: {}",
                answer.text
            );
            let by_form =
                answer.status == 403 && answer.text.contains("not drawn for your session");
            assert_eq!(
                by_form,
                *method == "POST" && role >= least,
                "{role}: {method} {at}: {}",
                answer.text
            );
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_every_route_leads_to_signing_in() {
    let app = TestApp::quiet().await;
    let mut stranger = app.newcomer(Role::Admin, None).await;
    for cookie in [None, Some("x".to_owned()), Some("A".repeat(43))] {
        stranger.cookie = cookie;
        for (method, path, least) in TABLE {
            let at = address(path, &app.shop.id.to_string());
            let answer = open(&stranger, method, &at).await;
            let location = answer.header("location").unwrap_or_default();
            let sent = answer.status == 303 && location.starts_with("/staff/sign-in");
            assert_eq!(sent, least.is_some(), "{method} {at}: {}", answer.status);
        }
    }
    let at = format!("/staff/{}", app.shop.id);
    let request = stranger.request(Method::GET, &at);
    let answer = request.header("HX-Request", "true").send().await;
    let answer = Answer::read(answer.expect("Till answers")).await;
    let answer = answer.expect(401);
    let target = answer.header("hx-redirect").expect("a way for htmx");
    assert!(target.starts_with("/staff/sign-in?next="));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_of_others_is_not_there_whatever_the_role() {
    let app = TestApp::quiet().await;
    let other = app.another_shop("other", Mode::Test).await;
    let unknown: till::domain::ids::ShopId = app.clock.id();
    for role in [Role::Viewer, Role::Finance] {
        let person = app.person_of(role, other.id).await;
        for shop in [
            app.shop.id.to_string(),
            unknown.to_string(),
            "shop_1".into(),
        ] {
            for (method, path, _) in TABLE.iter().filter(|(_, path, _)| path.starts_with("/<_>")) {
                let at = address(path, &shop);
                open(&person, method, &at).await.expect(404);
            }
        }
        let own = person
            .get(&format!("/staff/{}", other.id))
            .await
            .expect(200);
        assert!(
            !own.text.contains(&app.shop.id.to_string()),
            "not even named"
        );
        let start = person.get("/staff").await.expect(303);
        assert_eq!(
            start.header("location"),
            Some(format!("/staff/{}", other.id).as_str())
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_kept_by_nobody_and_loads_nothing_from_elsewhere() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Admin).await;
    let shop = app.shop.id.to_string();
    let mut addresses: Vec<String> = TABLE
        .iter()
        .filter(|(method, path, _)| *method == "GET" && !path.starts_with("/assets"))
        .map(|(_, path, _)| address(path, &shop))
        .collect();
    addresses.push("/staff/nothing/here".to_owned());
    addresses.push(format!("/staff/people/{}", person.id));
    let mut nobody = person.clone();
    nobody.cookie = None;
    for browser in [&person, &nobody] {
        for at in &addresses {
            let answer = browser.get(at).await;
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{at}");
            let policy = answer.header("content-security-policy").expect("a policy");
            for part in [
                "default-src 'none'",
                "script-src 'self';",
                "style-src 'self';",
                "form-action 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            ] {
                assert!(policy.contains(part), "{at}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{at}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            for inline in [
                " style=",
                "<style",
                " onclick=",
                "javascript:",
                "//cdn",
                "http://",
            ] {
                assert!(!answer.text.contains(inline), "{at}: {inline}");
            }
            for script in answer.text.split("<script").skip(1) {
                assert!(
                    script.starts_with(" src=\"/staff/assets/"),
                    "{at}: {script}"
                );
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_by_browsers_until_they_change() {
    let app = TestApp::quiet().await;
    let nobody = app.newcomer(Role::Viewer, None).await;
    let page = nobody.get("/staff/sign-in").await.expect(200);
    for name in ["till.css", "till.js", "htmx.min.js"] {
        let start = format!("\"/staff/assets/{name}?v=");
        let (_, rest) = page.text.split_once(&start).expect(name);
        let (version, _) = rest.split_once('"').expect("its end");
        let at = format!("/staff/assets/{name}?v={version}");
        let file = nobody.get(&at).await.expect(200);
        let tag = file.header("etag").expect("a tag").to_owned();
        assert!(
            file.header("cache-control")
                .expect("how long")
                .contains("immutable")
        );
        let again = nobody
            .request(Method::GET, &at)
            .header("If-None-Match", &tag);
        let again = Answer::read(again.send().await.expect("Till answers")).await;
        assert_eq!(again.expect(304).text, "");
    }
    let licence = nobody.get("/staff/assets/htmx.LICENSE.txt").await;
    assert!(licence.expect(200).text.contains("Zero-Clause BSD"));
    nobody.get("/staff/assets/..%2fmod.rs").await.expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_a_page_and_the_api_keeps_its_problems() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    let missing = person.get("/staff/nothing/here").await.expect(404);
    let html = Some("text/html; charset=utf-8");
    assert_eq!(missing.header("content-type"), html);
    assert!(
        missing
            .text
            .contains(missing.header("request-id").expect("an id"))
    );
    let wrong = person
        .request(Method::DELETE, "/staff/account/password")
        .send()
        .await;
    let wrong = Answer::read(wrong.expect("Till answers")).await.expect(405);
    assert_eq!(wrong.header("allow"), Some("POST"));
    assert_eq!(wrong.header("content-type"), html);
    app.anonymous()
        .get("/v1/orders")
        .await
        .problem(401, "unauthenticated");
    app.anonymous()
        .get("/nothing")
        .await
        .problem(404, "not_found");
    app.anonymous()
        .get("/staffroom")
        .await
        .problem(404, "not_found");
    // Last: the server closes the connection of a body it does not want.
    let large = format!("email={}", "x".repeat(300 * 1024));
    let request = person
        .request(Method::POST, "/staff/sign-in")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(large);
    let large = Answer::read(request.send().await.expect("Till answers")).await;
    assert_eq!(large.expect(413).header("content-type"), html);
    app.finish().await;
}
