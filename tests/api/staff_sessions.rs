//! Sessions of the staff console: how they begin, how they are kept, and everything that ends them, at once and in
//! every process. Somebody acts with a browser's requests, and the clock is turned instead of waited for.

use reqwest::Method;
use till::domain::staff::Role;
use till::service::audit::Who;
use till::service::people::Change;

use crate::harness::person::{COOKIE, Person, cookie_of};
use crate::harness::{Answer, TestApp};

const HOUR_S: i64 = 3_600;

fn is_sent_to_sign_in(answer: &Answer) -> bool {
    let location = answer.header("location").unwrap_or_default();
    answer.status == 303 && location.starts_with("/staff/sign-in")
}

async fn is_signed_in(person: &Person) -> bool {
    let answer = person.get("/staff/account").await;
    assert!(answer.status == 200 || is_sent_to_sign_in(&answer));
    answer.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_for_this_host_only_and_out_of_reach_of_scripts() {
    let app = TestApp::quiet().await;
    let mut person = app.newcomer(Role::Viewer, None).await;
    let answer = person.sign_in().await.expect(303);
    assert_eq!(answer.header("location"), Some("/staff"));
    let set = answer.header("set-cookie").expect("a cookie");
    let mut parts: Vec<&str> = set.split("; ").skip(1).collect();
    parts.sort_unstable();
    assert_eq!(parts, ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]);
    assert!(set.starts_with(&format!("{COOKIE}=")));
    let token = cookie_of(&answer).expect("a token");
    assert_eq!(token.len(), 43, "256 bits");
    let stored = format!("SELECT COUNT(*) FROM staff_session WHERE token_hash = '{token}'");
    assert_eq!(app.count(&stored).await, 0, "the token itself is not kept");
    let hash = till::secrets::hash(&token);
    let stored = format!("SELECT COUNT(*) FROM staff_session WHERE token_hash = '{hash}'");
    assert_eq!(app.count(&stored).await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_back_to_the_page_that_was_wanted_and_nowhere_else() {
    let app = TestApp::quiet().await;
    let mut person = app.newcomer(Role::Viewer, None).await;
    let wanted = format!("/staff/{}?q=a%20b&status=open", app.shop.id);
    let sent = person.get(&wanted).await.expect(303);
    let sign_in = sent.header("location").expect("a way").to_owned();
    let page = person.get(&sign_in).await.expect(200);
    let next = page.text.split_once("name=\"next\" value=\"");
    let (next, _) = next.expect("a field").1.split_once('"').expect("its end");
    let next = next.replace("&#38;", "&");
    assert_eq!(next, wanted);
    let fields = |next| {
        [
            ("email", person.email.as_str()),
            ("password", person.password.as_str()),
            ("next", next),
        ]
    };
    let answer = person.post_as_is("/staff/sign-in", &fields(&next)).await;
    assert_eq!(answer.header("location"), Some(wanted.as_str()));
    for outside in ["https://evil.example", "//evil.example", "/v1/orders"] {
        let answer = person.post_as_is("/staff/sign-in", &fields(outside)).await;
        assert_eq!(answer.expect(303).header("location"), Some("/staff"));
    }
    person.keep(&answer).await;
    let again = person.get("/staff/sign-in").await.expect(303);
    assert_eq!(again.header("location"), Some("/staff"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_sent_after_the_session_ended_says_so_and_leads_back() {
    let app = TestApp::quiet().await;
    let person = app.newcomer(Role::Viewer, None).await;
    let shop = format!("/staff/{}/orders", app.shop.id);
    let refund = format!("{shop}/ord_1/refund");
    let send = async |referer: &str| {
        let form = person.request(Method::POST, &refund);
        let form = form.header("Referer", referer).body("share=rest");
        let form = form.header("Content-Type", "application/x-www-form-urlencoded");
        Answer::read(form.send().await.expect("Till answers")).await
    };
    let page = format!("{shop}?status=open");
    let sent = send(&format!("https://till.example{page}"))
        .await
        .expect(303);
    let sign_in = sent.header("location").expect("a way").to_owned();
    let told = person.get(&sign_in).await.expect(200).text;
    assert!(told.contains("nothing was done"), "{told}");
    assert!(
        told.contains(&format!("name=\"next\" value=\"{page}\"")),
        "{told}"
    );
    for (referer, next) in [
        (format!("https://staff.example{page}"), page.as_str()),
        (
            format!("https://till.example{refund}"),
            refund.trim_end_matches("/refund"),
        ),
    ] {
        let sent = send(&referer).await.expect(303);
        let sign_in = sent.header("location").expect("a way").to_owned();
        let told = person.get(&sign_in).await.expect(200).text;
        let led = format!("name=\"next\" value=\"{next}\"");
        assert!(told.contains(&led), "{referer}: {told}");
    }
    let out = person.request(Method::POST, "/staff/sign-out").send().await;
    let out = Answer::read(out.expect("Till answers")).await.expect(303);
    assert_eq!(out.header("location"), Some("/staff/sign-in"));
    let sent = send("https://evil.example/x").await.expect(303);
    let sign_in = sent.header("location").expect("a way").to_owned();
    let told = person.get(&sign_in).await.expect(200).text;
    assert!(told.contains("name=\"next\" value=\"/staff\""), "{told}");
    let plain = person.get("/staff/sign-in").await.expect(200).text;
    assert!(!plain.contains("nothing was done"), "{plain}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_planted_before_is_worth_nothing_after() {
    let app = TestApp::quiet().await;
    // One that was never given out is not adopted.
    let mut person = app.newcomer(Role::Viewer, None).await;
    person.cookie = Some("A".repeat(43));
    let answer = person.sign_in().await.expect(303);
    assert_ne!(cookie_of(&answer), Some("A".repeat(43)));
    // One of somebody else's ends when its browser signs in as another person.
    let thief = app.person(Role::Viewer).await;
    let mut victim = app.newcomer(Role::Admin, None).await;
    victim.cookie.clone_from(&thief.cookie);
    victim.sign_in().await.expect(303);
    assert_ne!(victim.cookie, thief.cookie);
    assert!(is_signed_in(&victim).await && !is_signed_in(&thief).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_without_use_and_after_a_week() {
    let app = TestApp::quiet().await;
    let idle = app.person(Role::Viewer).await;
    let busy = app.person(Role::Viewer).await;
    app.advance(8 * HOUR_S - 60).await;
    assert!(is_signed_in(&busy).await, "used within eight hours");
    app.advance(120).await;
    assert!(!is_signed_in(&idle).await, "unused for eight hours");
    let mut hours = 8;
    while is_signed_in(&busy).await {
        app.advance(6 * HOUR_S).await;
        hours += 6;
        assert!(hours < 200, "it never ended");
    }
    assert!((168..=174).contains(&hours), "{hours}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_are_one_and_the_same() {
    let app = TestApp::quiet().await;
    let person = app.newcomer(Role::Viewer, None).await;
    let disabled = app.newcomer(Role::Viewer, None).await;
    let id = disabled.id;
    let services = &app.services;
    services
        .change_person(&Who::cli(), id, Change::Disable)
        .await
        .expect("disabled");
    let mut said = Vec::new();
    for (email, password) in [
        (person.email.as_str(), "wrong wrong wrong"),
        ("nobody@example.com", "wrong wrong wrong"),
        ("no address at all", ""),
        (disabled.email.as_str(), disabled.password.as_str()),
    ] {
        let before = app.services.passwords.hashed();
        let fields = [("email", email), ("password", password)];
        let answer = person.post_as_is("/staff/sign-in", &fields).await;
        assert_eq!(app.services.passwords.hashed() - before, 1, "{email}");
        assert_eq!(answer.header("set-cookie"), None);
        said.push(answer.expect(422).text.replace(email, "…"));
    }
    assert!(said.iter().all(|text| *text == said[0]), "{said:#?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_itself() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    let answer = person.post("/staff/sign-out", &[]).await.expect(303);
    assert_eq!(cookie_of(&answer).as_deref(), Some(""));
    assert!(
        !is_signed_in(&person).await,
        "the browser kept its cookie, and it is worth nothing"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_ends_sessions_ends_them_in_every_process() {
    let app = TestApp::quiet().await;
    let other = app.another_process().await;
    let front = app.serve(other.clone()).await;
    let elsewhere = format!("http://{}", front.address());
    let admin = app.person(Role::Admin).await;

    for act in [
        "everywhere",
        "password",
        "role",
        "disable",
        "sign-out",
        "reset",
    ] {
        let mut person = app.person(Role::Operator).await;
        let first = person.at(&elsewhere);
        person = person.another_browser();
        person.sign_in().await.expect(303);
        assert!(is_signed_in(&first).await && is_signed_in(&person.at(&elsewhere)).await);
        let path = format!("/staff/people/{}", person.id);
        let answer = match act {
            "everywhere" => person.post("/staff/account/sign-out", &[]).await,
            "password" => {
                let fields = [
                    ("present", person.password.as_str()),
                    ("new", "another good password"),
                    ("again", "another good password"),
                ];
                person.post("/staff/account/password", &fields).await
            }
            "role" => {
                let fields = [("role", "viewer")];
                admin.post(&format!("{path}/role"), &fields).await
            }
            "reset" => admin.post(&format!("{path}/password"), &[]).await,
            _ => admin.post(&format!("{path}/{act}"), &[]).await,
        };
        answer
            .clone()
            .expect(if act == "reset" { 200 } else { 303 });
        for left in [&first, &person, &person.at(&elsewhere)] {
            assert!(!is_signed_in(left).await, "{act}");
        }
        if act == "password" {
            person.keep(&answer).await;
            assert!(is_signed_in(&person).await, "the browser it was changed in");
            person.sign_in().await.expect(422);
            person
                .sign_in_with("another good password")
                .await
                .expect(303);
        }
        if act == "disable" {
            person.sign_in().await.expect(422);
            admin.post(&format!("{path}/enable"), &[]).await.expect(303);
            person.sign_in().await.expect(303);
        }
    }
    front.stop();
    other.store.close().await.expect("closes");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_ended_from_the_list_and_only_ones_own() {
    let app = TestApp::quiet().await;
    let old = app.person(Role::Viewer).await;
    let mut person = old.another_browser();
    person.sign_in().await.expect(303);
    let page = person.get("/staff/account").await.expect(200);
    let ends: Vec<&str> = page
        .text
        .split("action=\"/staff/account/sessions/")
        .skip(1)
        .filter_map(|rest| rest.split('/').next())
        .collect();
    assert_eq!(ends.len(), 1, "the other session, not this one");
    let path = format!("/staff/account/sessions/{}/end", ends[0]);
    let stranger = app.person(Role::Admin).await;
    stranger.post(&path, &[]).await.expect(303);
    assert!(is_signed_in(&old).await, "it was not the stranger's");
    person.post(&path, &[]).await.expect(303);
    assert!(!is_signed_in(&old).await && is_signed_in(&person).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_only_changed_by_whoever_knows_it_and_for_a_good_one() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    let change = async |present: &str, new: &str, again: &str| {
        let fields = [("present", present), ("new", new), ("again", again)];
        person.post("/staff/account/password", &fields).await
    };
    let good = "a new good password";
    change("wrong wrong wrong", good, good).await.expect(422);
    change(&person.password, "short", "short").await.expect(422);
    change(&person.password, good, "another").await.expect(422);
    change(&person.password, &person.email, &person.email)
        .await
        .expect(422);
    assert!(is_signed_in(&person).await, "nothing was changed");
    change(&person.password, good, good).await.expect(303);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_shuts_nobody_out() {
    let app = TestApp::with(crate::harness::Setup {
        settings: vec![("http.client_ip_header", "X-Real-IP".into())],
        ..crate::harness::Setup::default()
    })
    .await;
    let person = app.newcomer(Role::Viewer, None).await;
    let tried = async |email: &str, password: &str, from: &str| {
        let form = [("email", email), ("password", password)];
        let fields: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
            .collect();
        let request = person
            .request(reqwest::Method::POST, "/staff/sign-in")
            .header("X-Real-IP", from)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(fields.join("&"));
        Answer::read(request.send().await.expect("Till answers")).await
    };
    let at_home = "192.0.2.1";
    tried(&person.email, &person.password, at_home)
        .await
        .expect(303);

    // Many addresses against one account: it closes to strangers, not to whoever was there before.
    let before = app.services.passwords.hashed();
    let mut refused = 0;
    for address in 1..=14 {
        let from = format!("198.51.100.{address}");
        match tried(&person.email, "wrong wrong wrong", &from).await {
            answer if answer.status == 429 => {
                let seconds = answer.header("retry-after").expect("when to come back");
                assert!(seconds.parse::<u32>().expect("seconds") <= 900);
                assert!(answer.text.contains("Too many tries"), "{}", answer.text);
                refused += 1;
            }
            answer => drop(answer.expect(422)),
        }
    }
    assert_eq!(refused, 4);
    assert_eq!(
        app.services.passwords.hashed() - before,
        10,
        "refused before any work"
    );
    let right = tried(&person.email, &person.password, "198.51.100.99").await;
    right.expect(429);
    tried(&person.email, &person.password, at_home)
        .await
        .expect(303);

    // One address against many accounts.
    let mut allowed = 0;
    for account in 0..25 {
        let email = format!("nobody{account}@example.com");
        let answer = tried(&email, "wrong wrong wrong", "203.0.113.9").await;
        allowed += u32::from(answer.status == 422);
    }
    assert_eq!(allowed, 20);
    // A quarter of an hour later all is forgotten; and what is right never counts.
    app.advance(15 * 60 + 1).await;
    for _ in 0..25 {
        tried(&person.email, &person.password, "203.0.113.9")
            .await
            .expect(303);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_over_are_forgotten_in_time() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    person.post("/staff/sign-out", &[]).await.expect(303);
    let idle = app.person(Role::Viewer).await;
    app.advance(29 * 24 * HOUR_S).await;
    app.services.forget_old().await.expect("a sweep");
    let rows = "SELECT COUNT(*) FROM staff_session";
    assert_eq!(app.count(rows).await, 2, "kept for thirty days");
    app.advance(2 * 24 * HOUR_S).await;
    let live = app.person(Role::Viewer).await;
    app.services.forget_old().await.expect("a sweep");
    assert_eq!(app.count(rows).await, 1);
    assert!(is_signed_in(&live).await && !is_signed_in(&idle).await);
    app.finish().await;
}

/// Between the check of a password and the beginning of its session there is time for somebody to change it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_begin_with_a_password_that_was_changed_meanwhile() {
    let app = TestApp::quiet().await;
    let person = app.newcomer(Role::Viewer, None).await;
    let store = &app.services.store;
    let hash_of = async || {
        let known = store.staff_by_email(&person.email).await.expect("a look");
        known.expect("somebody").1
    };
    let begins = async |checked: String| {
        let session = till::store::staff::NewSession {
            id: app.clock.id(),
            staff: person.id,
            token_hash: till::secrets::hash(&till::secrets::new_session_token()),
            address: String::new(),
            user_agent: String::new(),
        };
        let (session, checked) = (&session, checked.as_str());
        let begun = store.write(|tx| async move { tx.begin_session(session, checked).await });
        let begun: Result<bool, till::store::StoreError> = begun.await;
        begun.expect("an answer")
    };
    let checked = hash_of().await;
    assert!(begins(checked.clone()).await);
    let services = &app.services;
    services
        .reset_password(&Who::cli(), person.id)
        .await
        .expect("reset");
    assert!(!begins(checked).await);
    let checked = hash_of().await;
    services
        .change_person(&Who::cli(), person.id, Change::Disable)
        .await
        .expect("disabled");
    assert!(!begins(checked).await);
    let live = "SELECT COUNT(*) FROM staff_session WHERE ended_at IS NULL";
    assert_eq!(app.count(live).await, 0);
    app.finish().await;
}
