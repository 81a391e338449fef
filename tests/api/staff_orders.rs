//! Goal: staff find any order, see why it is as it is, and take a list away; nothing of another shop, nothing that
//! runs in their browser or their spreadsheet.
//! Method: orders made and paid over HTTP, the console asked over HTTP by somebody who signed in; what a page says is
//! read out of its HTML.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use till::domain::access::{KeyKind, Mode, Scopes};
use till::domain::ids::ShopId;
use till::domain::staff::Role;

use crate::harness::person::Person;
use crate::harness::{Actor, Answer, Payable, TestApp, has_word};

/// Somebody who is signed in to the console, and may only read.
struct Reader(Person);

impl Reader {
    /// A viewer of all shops, or of one.
    async fn sign_in(app: &TestApp, shop: Option<ShopId>) -> Reader {
        Reader(match shop {
            Some(shop) => app.person_of(Role::Viewer, shop).await,
            None => app.person(Role::Viewer).await,
        })
    }

    async fn get(&self, path: &str) -> Answer {
        self.0.get(path).await
    }

    /// The list of the shop with this query, as HTML.
    async fn list(&self, app: &TestApp, query: &str) -> String {
        let path = format!("/staff/{}/orders?{query}", app.shop.id);
        self.get(&path).await.expect(200).text
    }

    /// The page of an order of the shop, as HTML.
    async fn page(&self, app: &TestApp, order: &str) -> String {
        let path = format!("/staff/{}/orders/{order}", app.shop.id);
        self.get(&path).await.expect(200).text
    }

    /// An order's state in words.
    async fn state(&self, app: &TestApp, order: &str) -> String {
        let page = self.page(app, order).await;
        text(&between(&page, "id=\"state\">", "</p>"))
    }
}

/// What stands between two marks.
#[track_caller]
fn between(html: &str, from: &str, to: &str) -> String {
    let (_, rest) = html
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {html}"));
    let (inner, _) = rest
        .split_once(to)
        .unwrap_or_else(|| panic!("no {to} after {from}"));
    inner.to_owned()
}

/// A piece of HTML as people read it.
fn text(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    for (entity, c) in [
        ("&nbsp;", " "),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ] {
        text = text.replace(entity, c);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The ids of the orders of a list, in order.
fn listed(html: &str) -> Vec<String> {
    let links = html.split("<td><a href=\"").skip(1);
    links
        .map(|link| {
            let (address, _) = link.split_once('"').expect("an address");
            address.rsplit('/').next().expect("an id").to_owned()
        })
        .collect()
}

/// The saved views with their counts.
fn counts(html: &str) -> Vec<String> {
    let nav = between(html, "<nav class=\"views\"", "</nav>");
    nav.split("<li>").skip(1).map(text).collect()
}

/// Where a link with this text leads.
fn link(html: &str, rel: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("rel=\"{rel}\" href=\""))?;
    let (address, _) = rest.split_once('"')?;
    Some(address.replace("&amp;", "&").replace("&#38;", "&"))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn place(shop: &Actor, body: Value) -> String {
    let placed = shop.post("/v1/orders", &body).await.expect(201);
    placed.str("id").to_owned()
}

fn order_of(name: &str, line: &str, price: &str) -> Value {
    json!({
        "currency": "EUR",
        "customer": {"email": "ada@example.com", "name": name},
        "line_items": [{"name": line, "unit_price": price, "quantity": 1}],
    })
}

async fn deliver_disputes(app: &TestApp) {
    for kind in ["created", "funds_withdrawn"] {
        for event in app.provider_events(&format!("charge.dispute.{kind}")).await {
            app.deliver(&event).await.expect(200);
        }
    }
}

async fn refund(shop: &Actor, order: &str, body: Value) {
    let path = format!("/v1/orders/{order}/refunds");
    shop.post(&path, &body).await.expect(201);
}

/// An order whose webhook says another amount.
async fn quarantined(app: &TestApp, shop: &Actor) -> Payable {
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let event = app.provider_event("checkout.session.completed", &payable);
    let mut event = event.await;
    event["data"]["object"]["amount_total"] = json!(1);
    app.deliver(&event).await.expect(200);
    payable
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_box_finds_an_order_by_whatever_people_have() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut body = order_of("Annabel Lovelace", "T-Shirt", "1231.70");
    body["reference"] = json!("PO-4711");
    body["customer"]["email"] = json!("Annabel@Example.com");
    let wanted = place(&shop, body).await;
    let other = place(&shop, order_of("Grace Hopper", "Cup", "8.00")).await;
    let (paid, _) = shop.paid(&app).await;
    let intent = app
        .texts("SELECT provider_payment_id FROM payment")
        .await
        .remove(0);
    app.work().await;
    let number = shop.order(&wanted).await["number"]
        .as_str()
        .expect("a number")
        .to_owned();
    let reader = Reader::sign_in(&app, None).await;
    for q in [
        wanted.as_str(),
        &number,
        &format!("#{number}"),
        "po-4711",
        "annabel@example.com",
        "lovelace",
        "1231.70",
        "1,231.70",
        "1.231,70 EUR",
        "EUR 1231.70",
        "annabel 1231.70",
    ] {
        let found = listed(&reader.list(&app, &format!("q={}", encoded(q))).await);
        assert_eq!(found, [wanted.as_str()], "{q}");
    }
    for (q, found) in [
        ("mug", &paid.order),
        (&intent, &paid.order),
        ("hopper", &other),
    ] {
        let list = reader.list(&app, &format!("q={}", encoded(q))).await;
        assert_eq!(listed(&list), [found.as_str()], "{q}");
    }
    let list = reader
        .list(&app, &format!("q={}", encoded("1231.70 USD")))
        .await;
    assert!(listed(&list).is_empty() && list.contains("No order is like that"));
    assert!(
        list.contains("value=\"1231.70 USD\""),
        "the search is still in its box"
    );
    assert_eq!(listed(&reader.list(&app, "").await).len(), 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_filters_show_their_orders_and_count_them() {
    let app = TestApp::quiet().await;
    // Some hours into a day of UTC, so that none of this happens around midnight.
    let day_ms = 24 * 60 * 60 * 1_000;
    let to_midnight = day_ms - app.clock.now().ms() % day_ms;
    app.advance(to_midnight / 1_000 + 3 * 60 * 60).await;
    let shop = app.merchant().await;
    let late = shop.place_order().await.str("id").to_owned();
    app.advance(3 * 60 * 60).await;
    let fresh = shop.place_order().await.str("id").to_owned();
    let (paid, _) = shop.paid(&app).await;
    let (partly, _) = shop.paid(&app).await;
    refund(&shop, &partly.order, json!({"amount": "1.00"})).await;
    let (whole, _) = shop.paid(&app).await;
    refund(&shop, &whole.order, json!({})).await;
    let (disputed, _) = shop.paid(&app).await;
    let act = format!("sessions/{}/dispute", disputed.at_provider);
    app.simulate(&act, &json!({})).await;
    deliver_disputes(&app).await;
    let doubtful = quarantined(&app, &shop).await;
    let reader = Reader::sign_in(&app, None).await;
    let all: Vec<&str> = vec![
        &doubtful.order,
        &disputed.order,
        &whole.order,
        &partly.order,
        &paid.order,
        &fresh,
        &late,
    ];
    for (query, found) in [
        ("", all.clone()),
        ("view=in_review", vec![all[0], all[1]]),
        ("view=unpaid_too_long", vec![all[6]]),
        ("view=unpaid_too_long&hours=4", vec![]),
        ("view=paid_today", vec![all[1], all[2], all[3], all[4]]),
        ("view=refunded", vec![all[2], all[3]]),
        ("view=disputed", vec![all[1]]),
        ("payment=unpaid", vec![all[0], all[5], all[6]]),
        ("payment=partially_refunded", vec![all[3]]),
        ("status=cancelled", vec![all[2]]),
        ("status=cancelled&view=refunded", vec![all[2]]),
        ("status=cancelled&payment=paid", vec![]),
        (
            "view=in_review&payment=disputed&status=open&fulfilment=unfulfilled",
            vec![all[1]],
        ),
        ("review=amount_mismatch", vec![all[0]]),
        ("fulfilment=fulfilled", vec![]),
        ("status=&payment=&from=&to=", all.clone()),
    ] {
        assert_eq!(listed(&reader.list(&app, query).await), found, "{query}");
    }
    app.work().await;
    let list = reader
        .list(&app, "q=mug&view=paid_today&payment=paid")
        .await;
    assert_eq!(
        listed(&list),
        [all[0], all[4]],
        "a search joins the filters; what was doubtful was asked about and is paid"
    );
    for on in [
        "Search: mug",
        "Saved views: Paid today (UTC)",
        "Payment: Paid",
    ] {
        assert!(
            text(&between(&list, "class=\"active\"", "</ul>")).contains(on),
            "{on}"
        );
    }
    assert_eq!(
        counts(&list),
        [
            "All 7",
            "In review 1",
            "Unpaid too long 1",
            "Paid today (UTC) 5",
            "Refunded 2",
            "Disputed 1"
        ]
    );
    for count in [
        "Unpaid or waiting (2)",
        "Partly refunded (1)",
        "Cancelled (1)",
        "Shipped (0)",
        "Not shipped (7)",
    ] {
        assert!(list.contains(count), "{count}");
    }
    let today = app.clock.now().to_string()[..10].to_owned();
    assert_eq!(
        listed(&reader.list(&app, &format!("from={today}&to={today}")).await),
        all
    );
    assert!(listed(&reader.list(&app, "to=2020-01-01").await).is_empty());
    let unclear = reader.list(&app, "status=paid&view=refunded").await;
    assert!(unclear.contains("was not understood"), "{unclear}");
    assert_eq!(listed(&unclear), [all[2], all[3]]);
    app.finish().await;
}

/// What people, and some who are not nice, write into fields.
const NAMES: [&str; 10] = [
    "Ada",
    "=HYPERLINK(\"https://evil.example\";\"x\")",
    "+49 30 1234",
    "-1+1",
    "@SUM(A1:A9)",
    "O'Neil, \"Ann\"",
    "Löve 名前",
    " spaced ",
    "<b>bold</b>",
    "a;b\\c|d",
];

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_exports_hold_every_order_once() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut placed: Vec<(String, String)> = Vec::new();
    // More than an export reads at once, and no whole number of pages.
    for at in 0..212 {
        let name = NAMES[at % NAMES.len()];
        let line = NAMES[(at / NAMES.len()) % NAMES.len()];
        let id = place(
            &shop,
            order_of(name, line, &format!("{}.{:02}", at, at % 100)),
        )
        .await;
        placed.push((id, name.to_owned()));
    }
    placed.reverse();
    let ids: Vec<&str> = placed.iter().map(|(id, _)| id.as_str()).collect();
    let reader = Reader::sign_in(&app, None).await;
    let mut address = format!("/staff/{}/orders?status=open", app.shop.id);
    let (mut seen, mut sizes, mut back) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let page = reader.get(&address).await.expect(200).text;
        let found = listed(&page);
        sizes.push(found.len());
        back.push((link(&page, "prev"), found.clone()));
        seen.extend(found);
        match link(&page, "next") {
            Some(next) => address = next,
            None => break,
        }
    }
    assert_eq!(sizes, [50, 50, 50, 50, 12]);
    assert_eq!(seen, ids);
    assert_eq!(back[0].0, None, "the first page has no newer one");
    for pair in back.windows(2) {
        let newer = pair[1].0.as_deref().expect("a newer page");
        let page = reader.get(newer).await.expect(200).text;
        assert_eq!(listed(&page), pair[0].1);
    }

    let csv = format!("/staff/{}/orders/export.csv?status=open", app.shop.id);
    let answer = reader.get(&csv).await.expect(200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    let day = &app.clock.now().to_string()[..10];
    let named = format!("attachment; filename=\"orders-{day}.csv\"");
    assert_eq!(answer.header("content-disposition"), Some(named.as_str()));
    assert_eq!(
        answer.text.matches("\r\n").count(),
        213,
        "lines end as RFC 4180 says"
    );
    let mut file = csv::Reader::from_reader(answer.text.as_bytes());
    let head = file.headers().expect("a head").clone();
    let column = |name: &str| head.iter().position(|one| one == name).expect("a column");
    let rows: Vec<csv::StringRecord> = file.records().map(|row| row.expect("a row")).collect();
    let exported: Vec<&str> = rows.iter().map(|row| &row[column("id")]).collect();
    assert_eq!(exported, ids);
    for (row, (id, name)) in rows.iter().zip(&placed) {
        let order = shop.order(id).await;
        assert_eq!(
            &row[column("total")],
            order["total"].as_str().expect("a total")
        );
        assert_eq!(&row[column("currency")], "EUR");
        assert_eq!(row[column("customer_name")].trim_start_matches('\''), name);
        for cell in row {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{cell}"
            );
        }
    }

    let lines = csv.replace("csv", "ndjson");
    let answer = reader.get(&lines).await.expect(200);
    let orders: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let exported: Vec<&str> = orders
        .iter()
        .map(|order| order["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(exported, ids);
    assert_eq!(orders[0], shop.order(ids[0]).await, "as the API gives it");
    let none = format!("/staff/{}/orders/export.csv?status=cancelled", app.shop.id);
    let empty = reader.get(&none).await.expect(200).text;
    assert_eq!(empty.lines().count(), 1, "a list without orders has a head");
    let wrong = format!("/staff/{}/orders/export.csv?status=lost", app.shop.id);
    reader.get(&wrong).await.expect(400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shops_orders_are_not_there() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let other = app.another_shop("other", Mode::Test).await;
    let foreign = app.actor(&other, KeyKind::Secret, Scopes::all()).await;
    let ours = shop.place_order().await.str("id").to_owned();
    let theirs = foreign.place_order().await.str("id").to_owned();
    let both = Reader::sign_in(&app, None).await;
    let one = Reader::sign_in(&app, Some(app.shop.id)).await;
    let within = |shop: &ShopId, rest: &str| format!("/staff/{shop}/{rest}");
    for reader in [&both, &one] {
        assert_eq!(listed(&reader.list(&app, "").await), [ours.as_str()]);
        let path = within(&app.shop.id, &format!("orders/{theirs}"));
        reader.get(&path).await.expect(404);
        let path = within(&app.shop.id, "orders/export.csv");
        let file = reader.get(&path).await.expect(200).text;
        assert!(file.contains(&ours) && !file.contains(&theirs));
        let sent = reader
            .get(&format!("/staff/orders/{ours}"))
            .await
            .expect(303);
        let page = within(&app.shop.id, &format!("orders/{ours}"));
        assert_eq!(sent.header("location"), Some(page.as_str()));
        reader.get(&page).await.expect(200);
    }
    let theirs_page = within(&other.id, &format!("orders/{theirs}"));
    both.get(&theirs_page).await.expect(200);
    both.get(&format!("/staff/orders/{theirs}"))
        .await
        .expect(303);
    for path in [
        theirs_page.as_str(),
        &within(&other.id, "orders"),
        &within(&other.id, "orders/export.ndjson"),
        &format!("/staff/orders/{theirs}"),
        "/staff/orders/ord_x",
        &within(&app.shop.id, "orders/nothing"),
    ] {
        one.get(path).await.expect(404);
    }
    let stranger = Reader(app.newcomer(Role::Viewer, None).await);
    for path in ["orders", "orders/export.csv", &format!("orders/{ours}")] {
        let sent = stranger.get(&within(&app.shop.id, path)).await.expect(303);
        let to = sent.header("location").expect("an address");
        assert!(to.starts_with("/staff/sign-in"), "{to}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_customer_writes_becomes_markup() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let evil =
        |field: &str| format!("{field}\"'><script>alert(1)</script>&<img src=x onerror=alert(2)>");
    let address = |of: &str| {
        json!({
            "name": evil(of), "line1": evil(of), "line2": evil(of), "city": evil(of), "state": evil(of),
            "postal_code": "<i>1</i>", "country": "DE", "phone": "<i>2</i>",
        })
    };
    let body = json!({
        "currency": "EUR",
        "reference": "<b>\"'><script>x</script>",
        "customer": {"email": "<script>alert(3)</script>@example.com", "name": evil("name")},
        "line_items": [{"name": evil("line"), "unit_price": "8.00", "quantity": 1}],
        "shipping_address": address("shipping"),
        "billing_address": address("billing"),
        "metadata": {"<script>k</script>\"'>": evil("value")},
    });
    let id = place(&shop, body).await;
    app.work().await;
    let reader = Reader::sign_in(&app, None).await;
    let search = encoded("\"'><script>alert(1)</script>");
    for html in [
        reader.list(&app, "").await,
        reader.list(&app, &format!("q={search}")).await,
        reader.page(&app, &id).await,
        reader
            .list(
                &app,
                &format!("status={search}&from={search}&after={search}"),
            )
            .await,
    ] {
        let plain = html.replace("<script src=", "");
        for tag in ["<script", "<img", "<i>", "<b>"] {
            assert!(!plain.contains(tag), "{tag}: {html}");
        }
        for quote in ["name\"'", "value=\"\"'", "\"'>"] {
            assert!(!html.contains(quote), "{quote}: {html}");
        }
    }
    let page = reader.page(&app, &id).await;
    for of in ["name", "line", "shipping", "billing", "value"] {
        assert!(
            text(&page).contains(&evil(of)),
            "{of} is shown as it was written"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_says_what_became_of_an_order() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let open = shop.place_order().await.str("id").to_owned();
    let (paid, _) = shop.paid(&app).await;
    let (reserved, _) = shop.reserved(&app).await;
    let (partly, _) = shop.paid(&app).await;
    refund(&shop, &partly.order, json!({"amount": "10.00"})).await;
    let (whole, _) = shop.paid(&app).await;
    refund(&shop, &whole.order, json!({})).await;
    let (disputed, _) = shop.paid(&app).await;
    let act = format!("sessions/{}/dispute", disputed.at_provider);
    app.simulate(&act, &json!({})).await;
    deliver_disputes(&app).await;
    let doubtful = quarantined(&app, &shop).await;
    let cancelled = shop.place_order().await.str("id").to_owned();
    let path = format!("/v1/orders/{cancelled}/cancel");
    shop.post(&path, &json!({})).await.expect(200);
    let reader = Reader::sign_in(&app, None).await;
    for (order, begins, ends) in [
        (&open, "Waiting for payment of 25.00 EUR, until ", "UTC."),
        (
            &paid.order,
            "Paid 25.00 EUR on ",
            "UTC. Not shipped yet. Nothing is open.",
        ),
        (
            &reserved.order,
            "25.00 EUR is reserved, but has not been captured yet.",
            "captured yet.",
        ),
        (
            &partly.order,
            "Paid 25.00 EUR on ",
            "10.00 EUR refunded. Not shipped yet. Nothing is open.",
        ),
        (
            &whole.order,
            "Paid 25.00 EUR on ",
            "All of it, 25.00 EUR, was refunded. The order is cancelled. Nothing is open.",
        ),
        (
            &disputed.order,
            "Paid 25.00 EUR on ",
            "The customer's bank has taken 25.00 EUR back and nothing is decided yet. Not shipped yet. \
             Needs a look: the customer's bank asks for the money.",
        ),
        (
            &doubtful.order,
            "Waiting for payment of 25.00 EUR, until ",
            "Needs a look: the amounts differ.",
        ),
        (
            &cancelled,
            "Cancelled on ",
            "before anything was paid. Nothing is open.",
        ),
    ] {
        let state = reader.state(&app, order).await;
        assert!(
            state.starts_with(begins) && state.ends_with(ends),
            "{state}"
        );
    }
    app.advance(25 * 60 * 60).await;
    app.work().await;
    let reader = Reader::sign_in(&app, None).await;
    let state = reader.state(&app, &open).await;
    assert!(
        state.starts_with("Not paid in time, so it expired on "),
        "{state}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_tells_the_whole_story_without_what_is_nobodys_business() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let order = shop.place_order().await;
    let id = order.str("id").to_owned();
    let secret = order.str("client_token").to_owned();
    // The first try is refused for a moment, the second makes the session.
    app.fault(json!({"on": "checkout.session.create", "do": "status:503"}))
        .await;
    let open = shop.check_out(&id).await.expect(202);
    app.advance(3).await;
    app.work().await;
    let session = shop.session(open.str("id")).await;
    let payable = Payable {
        order: id.clone(),
        session: open.str("id").to_owned(),
        at_provider: session["provider_session_id"]
            .as_str()
            .expect("an id")
            .to_owned(),
    };
    app.pay(&payable).await;
    let event = app
        .provider_event("checkout.session.completed", &payable)
        .await;
    app.deliver(&event).await.expect(200);
    let body =
        json!({"line_items": [{"line_item": order.json["line_items"][0]["id"], "quantity": 1}]});
    refund(&shop, &id, body).await;
    app.work().await;
    let reader = Reader::sign_in(&app, None).await;
    let page = reader.page(&app, &id).await;
    let story = text(&between(&page, "<ol class=\"timeline\">", "</section>"));
    let mut rest = story.as_str();
    for told in [
        "The order was placed",
        "A checkout was started",
        "To the provider: open a checkout",
        "Failed Try 1: the provider failed",
        "HTTP 503",
        "Try 2: done",
        "The checkout can be paid 25.00 EUR".trim_end_matches(" 25.00 EUR"),
        "The provider told something",
        "checkout.session.completed",
        "The money was captured 25.00 EUR",
        "The books were changed",
        "Sales credit 25.00 EUR",
        "order.paid",
        "A refund was asked for 12.50 EUR",
    ] {
        let at = rest
            .find(told)
            .unwrap_or_else(|| panic!("{told} is told after what came before: {story}"));
        rest = &rest[at..];
    }
    assert!(
        page.contains("1 refunded"),
        "the line says what went back of it"
    );
    let told = text(&page);
    for sum in [
        "Lines 25.00 EUR",
        "Total 25.00 EUR",
        "Paid 25.00 EUR",
        "Refunded 12.50 EUR",
    ] {
        assert!(told.contains(sum), "{sum}: {told}");
    }
    // What was received is there, without whom it is about.
    let raw: Vec<&str> = page
        .split("<pre")
        .skip(1)
        .filter_map(|part| part.split("</pre>").next())
        .collect();
    assert!(
        raw.iter()
            .any(|text| text.contains("payment_status") && text.contains("(hidden)"))
    );
    let (_, whole) = raw
        .split_last()
        .map(|(last, rest)| (rest, last))
        .expect("raw data");
    assert!(
        whole.contains("ada@example.com") && has_word(whole, "Ada"),
        "the order as the API gives it is folded at the end"
    );
    for text in &raw[..raw.len() - 1] {
        for gone in ["ada@example.com", "https://", "sim4242"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        for gone in ["Ada", "4242"] {
            assert!(!has_word(text, gone), "{gone}: {text}");
        }
    }
    for gone in [secret.as_str(), "sk_test_", "whsec_", "v1="] {
        assert!(!page.contains(gone), "{gone}");
    }
    reader.list(&app, "q=ada%40example.com&status=open").await;
    let path = format!(
        "/staff/{}/orders/export.csv?q=ada&payment=paid",
        app.shop.id
    );
    reader.get(&path).await.expect(200);
    let seen = "SELECT action || ' ' || COALESCE(object_id, '') || ' ' || detail FROM audit_entry \
                WHERE action LIKE 'order.%' ORDER BY id";
    assert_eq!(
        app.texts(seen).await,
        [
            format!("order.view {id} {{}}"),
            "order.list  {\"search\":\"1\",\"status\":\"open\"}".to_owned(),
            "order.export  {\"format\":\"csv\",\"payment\":\"paid\",\"search\":\"1\"}".to_owned(),
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_stop_at_their_bound_and_searches_join_what_is_common() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let first = shop.place_order().await.str("id").to_owned();
    app.work().await;
    let copied = "shop_id, reference, status, payment_status, fulfilment_status, review, currency, tax_included, \
                  subtotal_minor, discount_minor, shipping_minor, tax_minor, total_minor, customer_email, \
                  customer_name, metadata, token_key, event_seq, paid_at, expires_at, actor, created_at, updated_at";
    let look = app.look().await;
    for sql in [
        format!(
            "WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 1100) \
             INSERT INTO \"order\" (id, number, {copied}) \
             SELECT substr(id, 1, length(id) - 5) || CAST(10000 + n AS TEXT), 100000 + n, {copied} \
             FROM \"order\" CROSS JOIN many"
        ),
        "INSERT INTO order_term (shop_id, term, order_id) SELECT shop_id, 'mug', id FROM \"order\" \
         WHERE number > 100000"
            .to_owned(),
    ] {
        look.execute_unprepared(&sql).await.expect(&sql);
    }
    look.close().await.expect("closes");
    app.expect_broken();
    let reader = Reader::sign_in(&app, None).await;
    let list = reader.list(&app, "q=mug&status=open").await;
    assert_eq!(listed(&list).len(), 50);
    assert_eq!(counts(&list)[0], "All 1,000+");
    assert!(list.contains("Unpaid or waiting (1,000+)") && list.contains("Paid (0)"));
    for (query, found) in [
        (
            "q=mug&payment=unpaid&status=open&fulfilment=unfulfilled",
            50,
        ),
        ("q=mug&status=open&payment=paid", 0),
        ("q=mug&view=paid_today", 0),
        ("q=mug+25.00+EUR&status=open", 1),
        ("q=mug+25.00+USD&status=open", 0),
        ("view=unpaid_too_long&hours=1", 0),
    ] {
        assert_eq!(
            listed(&reader.list(&app, query).await).len(),
            found,
            "{query}"
        );
    }
    assert_eq!(
        listed(&reader.list(&app, "q=25.00").await),
        [first.as_str()]
    );
    let file = format!(
        "/staff/{}/orders/export.ndjson?q=mug&status=open",
        app.shop.id
    );
    let file = reader.get(&file).await.expect(200).text;
    assert_eq!(file.lines().count(), 1_101);
    app.finish().await;
}
