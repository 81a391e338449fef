//! People of the console and what is recorded of them: adding, changing and disabling, the last admin, and an audit
//! log in which everybody finds their own entries and admins everybody's.

use till::domain::staff::Role;
use till::service::people::Change;
use till::service::{ServiceError, audit::Who};

use crate::harness::TestApp;
use crate::harness::person::Person;

const EVIL: &str = "<script>alert(1)</script>\"'";

/// Which actions are recorded of a person, oldest first.
async fn acts(app: &TestApp, person: &Person) -> Vec<String> {
    use sea_orm::{ConnectionTrait, Statement};
    let look = app.look().await;
    let sql = format!(
        "SELECT action FROM audit_entry WHERE staff_id = '{}' ORDER BY id",
        person.id
    );
    let statement = Statement::from_string(look.get_database_backend(), sql);
    let rows = look.query_all_raw(statement).await.expect("entries");
    let acts = rows
        .iter()
        .map(|row| row.try_get_by_index(0).expect("text"))
        .collect();
    look.close().await.expect("closes");
    acts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_added_with_a_password_that_is_shown_once() {
    let app = TestApp::quiet().await;
    let admin = app.person(Role::Admin).await;
    let fields = [
        ("email", " Grace@Example.com "),
        ("name", "Grace Hopper"),
        ("role", "finance"),
        ("shop", &app.shop.id.to_string()),
    ];
    let shown = admin.post("/staff/people", &fields).await.expect(200);
    let (_, rest) = shown.text.split_once("<code>").expect("a password");
    let (password, _) = rest.split_once("</code>").expect("its end");
    assert_eq!(password.len(), 20);
    let mut grace = admin.clone();
    grace.cookie = None;
    grace.email = "grace@example.COM".to_owned();
    grace.sign_in_with(password).await.expect(303);
    grace.get("/staff/people").await.expect(403);

    let again = admin.post("/staff/people", &fields).await.expect(422);
    assert!(again.text.contains("belongs to somebody already"));
    assert!(
        again.text.contains("value=\"Grace Hopper\""),
        "what was typed stays"
    );
    for (name, value) in [
        ("email", "no address"),
        ("name", " "),
        ("shop", "shop_1"),
        ("role", "owner"),
        // Who sees one shop only could lift the limit as an admin.
        ("role", "admin"),
    ] {
        let mut fields = fields.to_vec();
        fields[0].1 = "new@example.com";
        fields.retain(|(field, _)| *field != name);
        fields.push((name, value));
        let answer = admin.post("/staff/people", &fields).await;
        assert!([404, 422].contains(&answer.status), "{name} {value}");
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM staff_user").await, 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_call_themselves_is_text() {
    let app = TestApp::quiet().await;
    let mut admin = app.person(Role::Admin).await;
    let email = "\"><i>x</i>@example.com";
    let fields = [
        ("email", email),
        ("name", EVIL),
        ("role", "viewer"),
        ("shop", ""),
    ];
    let shown = admin.post("/staff/people", &fields).await.expect(200);
    let body = format!(
        "email={}&password={}",
        admin.email,
        admin.password.replace(' ', "+")
    );
    let request = admin
        .request(reqwest::Method::POST, "/staff/sign-in")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("User-Agent", EVIL)
        .body(body);
    let answer = crate::harness::Answer::read(request.send().await.expect("Till answers")).await;
    admin.keep(&answer).await;
    let mut pages = vec![shown];
    for path in ["/staff/people", "/staff/account", "/staff/audit"] {
        pages.push(admin.get(path).await.expect(200));
    }
    for query in [
        "object=%22%3E%3Cscript%3E",
        "from=%22%3E%3Cscript%3E",
        "who=%3Cscript%3E",
    ] {
        pages.push(
            admin
                .get(&format!("/staff/audit?{query}"))
                .await
                .expect(200),
        );
    }
    pages.push(
        admin
            .get("/staff/sign-in?next=%22%3E%3Cscript%3E&done=%3Cscript%3E")
            .await,
    );
    let wrong = [("email", EVIL), ("password", "x")];
    let mut nobody = admin.clone();
    nobody.cookie = None;
    pages.push(
        nobody
            .post_as_is("/staff/sign-in", &wrong)
            .await
            .expect(422),
    );
    for page in &pages {
        assert!(!page.text.contains("<script>"), "{}", page.text);
        assert!(!page.text.contains("<i>"), "{}", page.text);
    }
    assert!(
        pages
            .iter()
            .any(|page| page.text.contains("&#60;script&#62;alert"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_somebody_left_who_manages_people() {
    let app = TestApp::quiet().await;
    let admin = app.person(Role::Admin).await;
    let path = format!("/staff/people/{}", admin.id);
    let demote = format!("{path}/role");
    for (path, fields) in [
        (demote.as_str(), vec![("role", "finance")]),
        (&format!("{path}/disable"), vec![]),
    ] {
        let refused = admin.post(path, &fields).await.expect(422);
        assert!(
            refused.text.contains("is the last admin"),
            "{}",
            refused.text
        );
    }
    // Two admins who take each other away at the same moment: one of them stays.
    for _ in 0..8 {
        let other = app.newcomer(Role::Admin, None).await;
        let first = app.newcomer(Role::Admin, None).await;
        let services = &app.services;
        services
            .change_person(&Who::cli(), admin.id, Change::Disable)
            .await
            .expect("others are left");
        let who = Who::cli();
        let (one, two) = tokio::join!(
            services.change_person(&who, other.id, Change::Disable),
            services.change_person(&who, first.id, Change::Role(Role::Viewer)),
        );
        let refused = [&one, &two]
            .iter()
            .filter(|outcome| matches!(outcome, Err(ServiceError::Invalid(_))))
            .count();
        assert_eq!(refused, 1, "{one:?} {two:?}");
        services
            .change_person(&who, admin.id, Change::Enable)
            .await
            .expect("back");
        for gone in [other.id, first.id] {
            services
                .change_person(&who, gone, Change::Disable)
                .await
                .expect("the next round");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_leaves_one_entry() {
    let app = TestApp::quiet().await;
    let first = app.person(Role::Operator).await;
    let mut person = first.another_browser();
    let wrong = person.sign_in_with("wrong wrong wrong").await;
    wrong.expect(422);
    person.sign_in().await.expect(303);
    first.post("/staff/sign-out", &[]).await.expect(303);
    person.post("/staff/sign-out", &[]).await.expect(303);
    person.sign_in().await.expect(303);
    let fields = [
        ("present", person.password.as_str()),
        ("new", "another good password"),
        ("again", "another good password"),
    ];
    let changed = person
        .post("/staff/account/password", &fields)
        .await
        .expect(303);
    person.keep(&changed).await;
    person
        .post("/staff/account/sign-out", &[])
        .await
        .expect(303);
    assert_eq!(
        acts(&app, &person).await,
        [
            "session.sign_in",
            "session.sign_in_failed",
            "session.sign_in",
            "session.sign_out",
            "session.sign_out",
            "session.sign_in",
            "person.password",
            "session.end_all",
        ]
    );
    let admin = app.person(Role::Admin).await;
    let path = format!("/staff/people/{}", person.id);
    admin.get("/staff/people").await.expect(200);
    let role = [("role", "finance")];
    admin.post(&format!("{path}/role"), &role).await.expect(303);
    // A second click changes nothing and records nothing.
    admin.post(&format!("{path}/role"), &role).await.expect(303);
    admin
        .post(&format!("{path}/disable"), &[])
        .await
        .expect(303);
    admin.post(&format!("{path}/enable"), &[]).await.expect(303);
    admin
        .post(&format!("{path}/password"), &[])
        .await
        .expect(200);
    assert_eq!(
        acts(&app, &admin).await,
        [
            "session.sign_in",
            "person.list",
            "person.role",
            "person.disable",
            "person.enable",
            "person.password",
        ]
    );
    // A try of nobody known names nobody: what was typed may be a password.
    let typed = "tell-no-one@example.com";
    let fields = [("email", typed), ("password", "wrong wrong wrong")];
    first
        .post_as_is("/staff/sign-in", &fields)
        .await
        .expect(422);
    let unknown = "SELECT COUNT(*) FROM audit_entry WHERE staff_id IS NULL AND actor = 'nobody'";
    assert_eq!(app.count(unknown).await, 1);
    let named = "SELECT COUNT(*) FROM audit_entry WHERE detail LIKE '%@%' OR actor LIKE '%@%'";
    assert_eq!(app.count(named).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reads_their_own_entries_and_admins_all() {
    let app = TestApp::quiet().await;
    let viewer = app.person(Role::Viewer).await;
    let finance = app.person(Role::Finance).await;
    finance.another_browser().sign_in().await.expect(303);
    let admin = app.person(Role::Admin).await;
    let who = |person: &Person| format!("/staff/audit?who={}", person.id);
    let own = viewer.get("/staff/audit").await.expect(200);
    assert_eq!(own.text.matches("<th scope=\"row\">").count(), 1);
    let others = viewer.get(&who(&finance)).await.expect(200);
    assert_eq!(
        others.text.matches("<th scope=\"row\">").count(),
        1,
        "still their own"
    );
    let all = admin.get("/staff/audit").await.expect(200);
    // Three people were added and signed in, one of them twice.
    assert_eq!(all.text.matches("<th scope=\"row\">").count(), 7);
    let one = admin.get(&who(&finance)).await.expect(200);
    assert_eq!(one.text.matches("<th scope=\"row\">").count(), 2);
    for (query, found) in [
        ("action=session.sign_in", 4),
        ("action=order.view", 0),
        (&format!("object={}", viewer.id), 1),
        (&format!("shop={}", app.shop.id), 0),
        ("to=2001-01-01", 0),
        ("from=2001-01-01&action=person.create", 3),
        ("from=2999-01-01", 0),
        ("from=nonsense&action=session.sign_in", 4),
    ] {
        let page = admin
            .get(&format!("/staff/audit?{query}"))
            .await
            .expect(200);
        let lines = page.text.matches("<th scope=\"row\">").count();
        assert_eq!(lines, found, "{query}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_read_page_by_page_both_ways() {
    let app = TestApp::quiet().await;
    let person = app.person(Role::Viewer).await;
    let who = Who {
        staff: Some(person.id),
        address: None,
        request_id: None,
    };
    for number in 0..119 {
        let act = till::service::audit::Act::new(&who, till::domain::audit::Action::OrderView);
        let act = act.about("order", format!("number-{number:03}"));
        app.services.record(act).await.expect("recorded");
    }
    let objects = |text: &str| -> Vec<String> {
        text.split("<td><code>number-")
            .skip(1)
            .filter_map(|rest| rest.get(..3).map(str::to_owned))
            .collect()
    };
    let link = |text: &str, rel: &str| -> Option<String> {
        let (_, rest) = text.split_once(&format!("rel=\"{rel}\" href=\""))?;
        let (url, _) = rest.split_once('"')?;
        Some(url.replace("&#38;", "&"))
    };
    let start = "/staff/audit?action=order.view".to_owned();
    let (mut seen, mut at, mut last) = (Vec::new(), Some(start), String::new());
    while let Some(url) = at {
        let page = person.get(&url).await.expect(200);
        seen.extend(objects(&page.text));
        at = link(&page.text, "next");
        last = page.text;
    }
    let all: Vec<String> = (0..119).rev().map(|n| format!("{n:03}")).collect();
    assert_eq!(seen, all);
    let mut back = objects(&last);
    while let Some(url) = link(&last, "prev") {
        let page = person.get(&url).await.expect(200);
        back.splice(0..0, objects(&page.text));
        last = page.text;
    }
    assert_eq!(back, all);
    app.finish().await;
}
