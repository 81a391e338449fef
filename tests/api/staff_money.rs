//! The console's pages of money: the overview against a recount of every row, lists with their filters and pages,
//! replaying and trying again from a page, the ledger, and that nothing of another shop or of a payload gets through.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use till::domain::access::Mode;
use till::domain::call::{CallFilter, CallStatus};
use till::domain::ids::PaymentId;
use till::domain::inbox::{EventVerdict, InboxFilter};
use till::domain::overview::{Figures, Spread};
use till::domain::page::{Cursor, Page, Span};
use till::domain::payment::{PaymentFilter, PaymentWord};
use till::domain::refund::{RefundFilter, RefundReason, RefundStatus};
use till::domain::staff::Role;
use till::domain::time::{DAY_MS, Timestamp};

use crate::harness::actor::{checkout_body, fresh_key};
use crate::harness::{Actor, Answer, Payable, TestApp};
use crate::replay::{left, stored};

const COMPLETED: &str = "checkout.session.completed";

/// An address in the app's shop.
pub fn at(app: &TestApp, path: &str) -> String {
    format!("/staff/{}/{path}", app.shop.id)
}

/// Every row of a query as texts.
async fn rows(app: &TestApp, sql: &str, columns: usize) -> Vec<Vec<String>> {
    let look = app.look().await;
    let statement = Statement::from_string(look.get_database_backend(), sql);
    let rows = look.query_all_raw(statement).await.expect(sql);
    let rows = rows.iter().map(|row| {
        let columns = 0..columns;
        columns
            .map(|at| row.try_get_by_index::<String>(at).expect("a text"))
            .collect()
    });
    let rows = rows.collect();
    look.close().await.expect("closes");
    rows
}

fn number(text: &str) -> i64 {
    text.parse().expect("a number")
}

/// The smallest value that `percent` of all are at or below, the plain way.
fn quantile(values: &mut [i64], percent: usize) -> i64 {
    values.sort_unstable();
    values[(values.len() * percent).div_ceil(100) - 1]
}

fn spread(mut values: Vec<i64>) -> Option<Spread> {
    (!values.is_empty()).then(|| Spread {
        count: values.len() as u64,
        median_ms: quantile(&mut values, 50),
        p95_ms: quantile(&mut values, 95),
    })
}

/// The figures of a part of time, counted row by row.
async fn recount(app: &TestApp, from: Timestamp, until: Timestamp) -> (Vec<String>, Figures) {
    let within = |at: &str| (from.ms()..until.ms()).contains(&number(at));
    let mut sums: BTreeMap<String, (i64, i64, u64)> = BTreeMap::new();
    let mut times = Vec::new();
    let entries = "SELECT a.name, a.currency, CAST(e.debit_minor AS TEXT), CAST(e.credit_minor AS TEXT), \
                   CAST(e.created_at AS TEXT), CAST(o.created_at AS TEXT) FROM ledger_entry e \
                   JOIN ledger_account a ON a.id = e.ledger_account_id JOIN \"order\" o ON o.id = e.order_id";
    for row in rows(app, entries, 6).await {
        if !within(&row[4]) {
            continue;
        }
        let (debit, credit) = (number(&row[2]), number(&row[3]));
        match row[0].as_str() {
            "sales" => {
                let sum = sums.entry(row[1].clone()).or_default();
                sum.0 += credit - debit;
                if credit > 0 {
                    sum.2 += 1;
                    times.push(number(&row[4]) - number(&row[5]));
                }
            }
            "refunds" => sums.entry(row[1].clone()).or_default().1 += debit - credit,
            _ => {}
        }
    }
    let money = sums
        .iter()
        .map(|(code, (sales, refunds, payments))| format!("{code} {sales} {refunds} {payments}"));
    let mut figures = Figures {
        time_to_paid: spread(times),
        ..Figures::default()
    };
    let sessions = "SELECT status, CAST(created_at AS TEXT) FROM checkout_session";
    for row in rows(app, sessions, 2).await {
        match row[0].as_str() {
            _ if !within(&row[1]) => {}
            "complete" => figures.checkouts.complete += 1,
            "expired" | "failed" => figures.checkouts.ended += 1,
            _ => figures.checkouts.open += 1,
        }
    }
    (money.collect(), figures)
}

/// Money as the recount tells it.
fn told(figures: &Figures) -> Vec<String> {
    let told = figures.money.iter().map(|moved| {
        let code = moved.sales.currency();
        let (sales, refunds) = (moved.sales.minor(), moved.refunds.minor());
        format!("{code} {sales} {refunds} {}", moved.payments)
    });
    told.collect()
}

async fn assert_recounted(
    app: &TestApp,
    what: &str,
    figures: &Figures,
    span: (Timestamp, Timestamp),
) {
    let (money, counted) = recount(app, span.0, span.1).await;
    assert_eq!(told(figures), money, "{what}");
    assert_eq!(figures.checkouts, counted.checkouts, "{what}");
    assert_eq!(figures.time_to_paid, counted.time_to_paid, "{what}");
}

/// Compares the whole overview with a recount.
async fn assert_overview(app: &TestApp) {
    let read = app
        .services
        .overview(app.shop.id)
        .await
        .expect("an overview");
    let begin = read.at.plus_ms(-read.at.ms().rem_euclid(DAY_MS));
    let week = -7 * DAY_MS;
    assert_recounted(app, "today", &read.today, (begin, read.at)).await;
    let last_week = (begin.plus_ms(week), read.at.plus_ms(week));
    assert_recounted(app, "last week", &read.last_week, last_week).await;
    assert_eq!(read.days.len(), 14);
    for (back, day) in read.days.iter().rev().enumerate() {
        let from = begin.plus_ms(-DAY_MS * i64::try_from(back).expect("small"));
        assert_eq!(day.day, from);
        let until = from.plus_ms(DAY_MS).min(read.at);
        assert_recounted(
            app,
            &format!("{back} days ago"),
            &day.figures,
            (from, until),
        )
        .await;
    }
}

/// One of several things a customer does, chosen by `n`.
async fn story(app: &TestApp, shop: &Actor, n: u32) {
    if n.is_multiple_of(5) {
        let body =
            json!({"currency": "JPY", "line_items": [{"sku": "mug", "quantity": 1 + n % 3}]});
        let order = shop.post("/v1/orders", &body).await.expect(201);
        let session = shop.check_out(order.str("id")).await.expect(201);
        let payable = Payable {
            order: order.str("id").to_owned(),
            session: session.str("id").to_owned(),
            at_provider: session.str("provider_session_id").to_owned(),
        };
        app.pay(&payable).await;
        app.advance(i64::from(n % 90)).await;
        let event = app.provider_event(COMPLETED, &payable).await;
        app.deliver(&event).await.expect(200);
        return;
    }
    let payable = shop.payable().await;
    match n % 5 {
        1 => {}
        2 => {
            let path = format!("/v1/orders/{}/cancel", payable.order);
            shop.post(&path, &json!({})).await;
        }
        way => {
            app.pay(&payable).await;
            app.advance(i64::from(n % 200)).await;
            let event = app.provider_event(COMPLETED, &payable).await;
            app.deliver(&event).await.expect(200);
            if way == 4 {
                let path = format!("/v1/orders/{}/refunds", payable.order);
                let body = json!({"amount": format!("{}.00", 1 + n % 9)});
                shop.post(&path, &body).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_says_what_a_recount_of_every_row_says() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let person = app.person(Role::Viewer).await;
    assert_overview(&app).await;
    let seed = uuid::Uuid::new_v4();
    for (n, byte) in seed.as_bytes().iter().enumerate() {
        story(&app, &shop, u32::from(*byte)).await;
        // Eight days and a bit, in steps that end before and after midnight, so that hours and days get over.
        app.advance(45_000).await;
        app.work().await;
        if n % 5 == 4 {
            assert_overview(&app).await;
        }
    }
    story(&app, &shop, 3).await;
    story(&app, &shop, 5).await;
    assert_overview(&app).await;
    // What is over was kept; the same again, from memory.
    assert_overview(&app).await;
    let mut person = person;
    person.sign_in().await;
    let page = person
        .get(&at(&app, "")[..at(&app, "").len() - 1])
        .await
        .expect(200);
    assert!(
        page.text
            .contains("<svg viewBox=\"0 0 640 200\" role=\"img\""),
        "seed {seed}"
    );
    for shown in [
        "Sales, EUR",
        "Sales, JPY",
        "25.00",
        "Same weekday last week",
    ] {
        assert!(page.text.contains(shown), "{shown}, seed {seed}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_webhooks_is_from_their_making_to_their_facts() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    for late in [0, 30, 3_000] {
        let payable = shop.payable().await;
        app.pay(&payable).await;
        let event = app.provider_event(COMPLETED, &payable).await;
        app.advance(late).await;
        app.deliver(&event).await.expect(200);
    }
    let now = app.clock.now();
    let day = Span::between(now.plus_ms(-DAY_MS), now);
    let lag = app.services.webhook_lag(app.shop.id, day).await;
    let lag = lag.expect("read").expect("some");
    assert_eq!(lag.count, 3);
    assert!((29_000..33_000).contains(&lag.median_ms), "{lag:?}");
    assert!((2_999_000..3_003_000).contains(&lag.p95_ms), "{lag:?}");
    let other = app.another_shop("other", Mode::Test).await;
    let none = app.services.webhook_lag(other.id, day).await;
    assert_eq!(none.expect("read"), None);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_problems_are_counted_and_lead_to_their_lists() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let person = app.person(Role::Viewer).await;
    let start = at(&app, "");
    let start = start.trim_end_matches('/');
    let calm = person.get(start).await.expect(200);
    assert!(calm.text.contains("Nothing is open"), "{}", calm.text);

    let (_, event) = unapplied(&app, &shop).await;
    left(&app, &event, "dead").await;
    shop.place_order().await;
    app.fault(json!({"on": "checkout.session.create", "do": "status:500", "times": "always"}))
        .await;
    let order = shop.place_order().await.str("id").to_owned();
    shop.check_out(&order).await.expect(202);
    app.advance(7_300).await;
    let problems = app.services.problems(app.shop.id).await.expect("read");
    assert_eq!(problems.dead_events.count, 1);
    assert_eq!(problems.unknown_calls.count, 1);
    // The one with a checkout at the provider, the one without, and the one whose event was given up.
    assert_eq!(problems.unpaid_orders.count, 3);
    let page = person.get(start).await.expect(200);
    for path in ["webhooks?verdict=dead", "calls?status=unknown"] {
        let url = at(&app, path);
        assert!(page.text.contains(&url), "{url}");
        let list = person.get(&url).await.expect(200);
        assert!(list.text.contains("<tbody>"), "{url}: {}", list.text);
    }
    let other = app.another_shop("other", Mode::Test).await;
    let none = app.services.problems(other.id).await.expect("read");
    assert!(none.is_empty(), "{none:?}");
    app.expect_open_calls();
    app.expect_broken();
    app.finish().await;
}

/// A paid order whose event did not arrive.
pub async fn unapplied(app: &TestApp, shop: &Actor) -> (Payable, Value) {
    let payable = shop.payable().await;
    app.pay(&payable).await;
    let event = app.provider_event(COMPLETED, &payable).await;
    (payable, event)
}

/// Our id of an event.
async fn ours(app: &TestApp, event: &Value) -> String {
    let id = event["id"].as_str().expect("an id");
    let sql = format!("SELECT id FROM provider_event WHERE event_id = '{id}'");
    app.texts(&sql).await.pop().expect("it is stored")
}

/// Walks a list of payments by pages of so many, either way.
async fn walked(app: &TestApp, filter: &PaymentFilter, limit: u64) -> Vec<PaymentId> {
    let list = async |cursor| {
        let page = Page { limit, cursor };
        let found = app.services.payment_files(app.shop.id, filter, &page).await;
        found.expect("a page")
    };
    let (mut forwards, mut cursor) = (Vec::new(), Cursor::Newest);
    loop {
        let found = list(cursor).await;
        forwards.extend(found.rows.iter().map(|file| file.payment.id));
        let Some(last) = forwards.last().filter(|_| found.has_more) else {
            break;
        };
        cursor = Cursor::StartingAfter(*last);
    }
    let Some(last) = forwards.last() else {
        return forwards;
    };
    let (mut backwards, mut first) = (vec![*last], *last);
    loop {
        let found = list(Cursor::EndingBefore(first)).await;
        let ids: Vec<PaymentId> = found.rows.iter().map(|file| file.payment.id).collect();
        backwards.splice(0..0, ids);
        first = backwards[0];
        if !found.has_more {
            break;
        }
    }
    assert_eq!(forwards, backwards);
    forwards
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_refunds_are_found_by_their_filters_and_pages() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut all = Vec::new();
    for n in 0..5 {
        let (payable, payment) = match n {
            3 => shop.reserved(&app).await,
            _ => shop.paid(&app).await,
        };
        all.push((payable, payment));
        app.advance(3 * 3_600).await;
    }
    let ids = |of: &[usize]| -> Vec<String> {
        let ids = of.iter().rev().map(|at| all[*at].1.clone());
        ids.collect()
    };
    let status = |status| PaymentFilter {
        status: Some(status),
        ..PaymentFilter::default()
    };
    let order = PaymentFilter {
        order: Some(all[1].0.order.parse().expect("an id")),
        ..PaymentFilter::default()
    };
    let made: Vec<i64> = {
        let made = rows(
            &app,
            "SELECT CAST(created_at AS TEXT) FROM payment ORDER BY id",
            1,
        )
        .await;
        made.iter().map(|row| number(&row[0])).collect()
    };
    let between = PaymentFilter {
        // From exactly one until exactly before another.
        seen: Span::between(Timestamp::from_ms(made[1]), Timestamp::from_ms(made[3])),
        ..PaymentFilter::default()
    };
    let known = shop.payment_of(&all[2].0.order).await;
    let provider_id = known["provider_payment_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let named = PaymentFilter {
        provider_id: Some(provider_id.clone()),
        ..PaymentFilter::default()
    };
    for (filter, wanted) in [
        (PaymentFilter::default(), ids(&[0, 1, 2, 3, 4])),
        (status(PaymentWord::Captured), ids(&[0, 1, 2, 4])),
        (status(PaymentWord::Authorized), ids(&[3])),
        (status(PaymentWord::Failed), ids(&[])),
        (order, ids(&[1])),
        (between, ids(&[1, 2])),
        (named, ids(&[2])),
    ] {
        for limit in [1, 2, 50] {
            let found = walked(&app, &filter, limit).await;
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, wanted, "{filter:?} by {limit}");
        }
    }
    refunds_are_found(&app, &shop, &all[0].0).await;

    let person = app.person(Role::Viewer).await;
    let page = person
        .get(&at(&app, &format!("payments?provider_id={provider_id}")))
        .await;
    let page = page.expect(200).text;
    assert!(
        page.contains(&all[2].1) && !page.contains(&all[1].1),
        "{page}"
    );
    let number = shop.order(&all[4].0.order).await["number"]
        .as_str()
        .map(str::to_owned);
    let page = person
        .get(&at(
            &app,
            &format!("payments?order={}", number.expect("a number")),
        ))
        .await;
    let page = page.expect(200).text;
    assert!(
        page.contains(&all[4].1) && !page.contains(&all[3].1),
        "{page}"
    );
    for wrong in [
        "status=lost",
        "order=99999999",
        "from=yesterday",
        "to=2026-02-30",
    ] {
        let page = person
            .get(&at(&app, &format!("payments?{wrong}")))
            .await
            .expect(200)
            .text;
        assert!(page.contains("so nothing is shown") || page.contains("No order of this shop"));
        assert!(!page.contains(&all[0].1), "{wrong}");
    }
    app.work().await;
    app.finish().await;
}

async fn refunds_are_found(app: &TestApp, shop: &Actor, paid: &Payable) {
    let path = format!("/v1/orders/{}/refunds", paid.order);
    for (amount, reason) in [("1.00", None), ("2.00", Some("duplicate"))] {
        let body = json!({"amount": amount, "reason": reason});
        shop.post(&path, &body).await.expect(201);
    }
    let count = async |filter: RefundFilter| {
        let page = Page {
            limit: 10,
            cursor: Cursor::Newest,
        };
        let found = app.services.refund_files(app.shop.id, &filter, &page).await;
        found.expect("a page").rows.len()
    };
    assert_eq!(count(RefundFilter::default()).await, 2);
    let twice = RefundFilter {
        reason: Some(RefundReason::Duplicate),
        order: Some(paid.order.parse().expect("an id")),
        ..RefundFilter::default()
    };
    assert_eq!(count(twice).await, 1);
    let failed = RefundFilter {
        status: Some(RefundStatus::Failed),
        ..RefundFilter::default()
    };
    assert_eq!(count(failed).await, 0);
    let person = app.person(Role::Viewer).await;
    let list = person
        .get(&at(app, "refunds?reason=duplicate"))
        .await
        .expect(200);
    let refund = shop.refunds_of(&paid.order).await[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(list.text.contains(&refund), "{}", list.text);
    let one = person
        .get(&at(app, &format!("refunds/{refund}")))
        .await
        .expect(200);
    assert!(one.text.contains("The customer paid twice") && one.text.contains("2.00"));
}

/// Ten thousand payments newer than the only captured one: the search stops, says so, and goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_nothing_passes_stops_after_so_many_and_goes_on() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, payment) = shop.paid(&app).await;
    let look = app.look().await;
    let sql = "INSERT INTO payment (id, shop_id, order_id, provider_account_id, provider_payment_id, status, \
               amount_minor, currency, belongs, created_at, updated_at) \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050) \
               SELECT 'pay_7zzzzzzzzzz' || substr('00000000000000' || i, -15 + length('x') * 0), shop_id, order_id, \
               provider_account_id, 'pi_' || i, 'failed', 1, 'EUR', belongs, created_at, updated_at \
               FROM payment, n";
    let sql = match look.get_database_backend() {
        sea_orm::DbBackend::Sqlite => sql.replace(
            "substr('00000000000000' || i, -15 + length('x') * 0)",
            "printf('%015d', i)",
        ),
        _ => sql.replace(
            "substr('00000000000000' || i, -15 + length('x') * 0)",
            "lpad(i::text, 15, '0')",
        ),
    };
    look.execute_unprepared(&sql).await.expect(&sql);
    look.close().await.expect("closes");
    let filter = PaymentFilter {
        status: Some(PaymentWord::Captured),
        ..PaymentFilter::default()
    };
    let page = |cursor| Page { limit: 10, cursor };
    let list = async |cursor| {
        let found = app
            .services
            .payment_files(app.shop.id, &filter, &page(cursor))
            .await;
        found.expect("a page")
    };
    let found = list(Cursor::Newest).await;
    assert!(found.rows.is_empty() && !found.has_more);
    let on = found.looked_until.expect("where to go on");
    let found = list(Cursor::StartingAfter(on)).await;
    assert_eq!(found.rows.len(), 1);
    assert_eq!(found.rows[0].payment.id.to_string(), payment);
    assert_eq!(found.looked_until, None);
    let back = list(Cursor::EndingBefore(payment.parse().expect("an id"))).await;
    assert!(back.rows.is_empty() && back.looked_until.is_some());
    let person = app.person(Role::Viewer).await;
    let list = person
        .get(&at(&app, "payments?status=captured"))
        .await
        .expect(200)
        .text;
    assert!(
        list.contains(&format!("status=captured&amp;after={on}"))
            || list.contains(&format!("status=captured&#38;after={on}")),
        "{list}"
    );
    app.expect_broken();
    app.finish().await;
}

fn result(answer: &Answer) -> String {
    let location = answer.header("location").expect("a way on");
    let (_, result) = location.split_once("result=").expect("a result");
    result.to_owned()
}

async fn audited(app: &TestApp, action: &str) -> i64 {
    app.count(&format!(
        "SELECT COUNT(*) FROM audit_entry WHERE action = '{action}'"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_from_its_page_heals_once_however_often_it_is_sent() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, event) = unapplied(&app, &shop).await;
    left(&app, &event, "dead").await;
    let id = ours(&app, &event).await;
    let page = at(&app, &format!("webhooks/{id}"));
    let act = format!("{page}/replay");
    let viewer = app.person(Role::Viewer).await;
    viewer
        .post(&act, &[("idempotency_key", &fresh_key())])
        .await
        .expect(403);
    let person = app.person(Role::Operator).await;
    let preview = person
        .get(&format!("{page}/preview"))
        .await
        .expect(200)
        .text;
    assert!(preview.contains("It would be applied.") && preview.contains("captured 25.00 EUR"));
    assert_eq!(app.verdict(&event).await, "dead", "looking changes nothing");

    // A double click, at once.
    let key = fresh_key();
    let fields = [("idempotency_key", key.as_str())];
    let (one, two) = tokio::join!(person.post(&act, &fields), person.post(&act, &fields));
    for answer in [one, two, person.post(&act, &fields).await] {
        assert_eq!(result(&answer.expect(303)), "applied");
    }
    assert_eq!(audited(&app, "webhook.replay").await, 1);
    assert_eq!(app.verdict(&event).await, "applied");
    assert_eq!(app.postings(&payable.order).await, 1);
    let shown = person
        .get(&format!("{page}?result=applied"))
        .await
        .expect(200)
        .text;
    assert!(shown.contains("Replayed: it is applied now."));
    assert!(shown.contains("Ledger transaction <code>ltx_"), "{shown}");

    // A new form of what is applied changes nothing.
    let before = stored(&app).await;
    let again = person
        .post(&act, &[("idempotency_key", &fresh_key())])
        .await;
    assert_eq!(result(&again.expect(303)), "unchanged");
    assert_eq!(stored(&app).await, before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_replayed_within_its_bounds() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let mut events = Vec::new();
    for _ in 0..3 {
        let (_, event) = unapplied(&app, &shop).await;
        left(&app, &event, "dead").await;
        events.push(event);
    }
    left_applied(&app, &shop).await;
    let person = app.person(Role::Operator).await;
    let act = at(&app, "webhooks/replay");
    let all = person
        .post(&act, &[("idempotency_key", &fresh_key())])
        .await;
    let to = all
        .expect(303)
        .header("location")
        .expect("a way")
        .to_owned();
    assert!(
        !to.contains("applied="),
        "a list without a bound is not replayed: {to}"
    );
    assert_eq!(app.verdict(&events[0]).await, "dead");
    let list = person
        .get(&at(&app, "webhooks?verdict=dead"))
        .await
        .expect(200)
        .text;
    assert!(list.contains("name=\"verdict\" value=\"dead\""), "{list}");
    // Without a key of its own a second form would get the first one's outcome.
    person.post(&act, &[("verdict", "dead")]).await.expect(400);
    let key = fresh_key();
    let fields = [("idempotency_key", key.as_str()), ("verdict", "dead")];
    let done = person.post(&act, &fields).await.expect(303);
    let to = done.header("location").expect("a way").to_owned();
    assert!(
        to.contains("applied=3&unchanged=0&quarantined=0&failed=0"),
        "{to}"
    );
    assert!(
        person
            .get(&to)
            .await
            .expect(200)
            .text
            .contains("Replayed: 3 applied")
    );
    for event in &events {
        assert_eq!(app.verdict(event).await, "applied");
    }
    let again = person.post(&act, &fields).await.expect(303);
    assert_eq!(again.header("location"), Some(to.as_str()), "the same form");
    assert_eq!(audited(&app, "webhook.replay").await, 1);
    app.finish().await;
}

/// An order with an applied event beside the others.
async fn left_applied(app: &TestApp, shop: &Actor) {
    shop.paid(app).await;
    let dead = InboxFilter {
        verdict: Some(EventVerdict::Applied),
        ..InboxFilter::default()
    };
    let page = Page {
        limit: 10,
        cursor: Cursor::Newest,
    };
    let found = app.services.inbox_files(app.shop.id, &dead, &page).await;
    assert_eq!(found.expect("a page").rows.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_outcome_is_tried_now_and_has_one_then() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    app.fault(json!({"on": "checkout.session.create", "do": "status:500", "times": "always"}))
        .await;
    let order = shop.place_order().await.str("id").to_owned();
    let path = format!("/v1/orders/{order}/checkout_sessions");
    shop.post(&path, &checkout_body()).await.expect(202);
    let unknown = CallFilter {
        status: Some(CallStatus::Unknown),
        ..CallFilter::default()
    };
    let page = Page {
        limit: 10,
        cursor: Cursor::Newest,
    };
    let calls = app.services.call_files(app.shop.id, &unknown, &page).await;
    let call = calls.expect("a page").rows.remove(0).id;
    let person = app.person(Role::Operator).await;
    let one = at(&app, &format!("calls/{call}"));
    let act = format!("{one}/retry");
    let tried = person
        .post(&act, &[("idempotency_key", &fresh_key())])
        .await;
    assert_eq!(result(&tried.expect(303)), "unknown");
    app.heal().await;
    let key = fresh_key();
    let fields = [("idempotency_key", key.as_str())];
    let (first, second) = tokio::join!(person.post(&act, &fields), person.post(&act, &fields));
    assert_eq!(result(&first.expect(303)), "known");
    assert_eq!(result(&second.expect(303)), "known");
    let late = person
        .post(&act, &[("idempotency_key", &fresh_key())])
        .await;
    assert_eq!(result(&late.expect(303)), "not_due");
    let shown = person
        .get(&format!("{one}?result=known"))
        .await
        .expect(200)
        .text;
    assert!(
        shown.contains("Tried: its outcome is known now.") && shown.contains("req_"),
        "{shown}"
    );
    assert!(!shown.contains(&act), "what is known is not tried");
    assert_eq!(
        app.effects("checkout.session.created").await.len(),
        1,
        "{:?}",
        app.journal("effect").await
    );
    assert_eq!(audited(&app, "call.retry").await, 3);

    let health = app
        .services
        .provider_health(app.shop.id)
        .await
        .expect("read");
    let account = &health.accounts[0];
    assert_eq!((account.hour.answered, account.hour.failed), (1, 2));
    assert_eq!(account.last_failure.as_ref().expect("one").call, call);
    let page = person.get(&at(&app, "health")).await.expect(200).text;
    assert!(
        page.contains("33.3 %") && page.contains("Calls pass."),
        "{page}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_asked_about_now() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (payable, payment) = shop.reserved(&app).await;
    let person = app.person(Role::Operator).await;
    let one = at(&app, &format!("payments/{payment}"));
    // It was captured at the provider, and no webhook came.
    let intent = shop.payment_of(&payable.order).await["provider_payment_id"].clone();
    let url = format!(
        "{}/v1/payment_intents/{}/capture",
        app.simulator_url,
        intent.as_str().expect("an id")
    );
    let request = app.http.post(url).bearer_auth("sk_test_harness");
    assert!(
        request
            .send()
            .await
            .expect("the simulator answers")
            .status()
            .is_success()
    );
    let asked = person
        .post(&format!("{one}/ask"), &[("idempotency_key", &fresh_key())])
        .await;
    assert_eq!(result(&asked.expect(303)), "asked");
    assert_eq!(shop.payment_of(&payable.order).await["status"], "captured");
    app.fault(json!({"on": "payment_intent.retrieve", "do": "status:503", "times": "always"}))
        .await;
    let asked = person
        .post(&format!("{one}/ask"), &[("idempotency_key", &fresh_key())])
        .await;
    assert_eq!(result(&asked.expect(303)), "silent");
    app.heal().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_balances_is_searched_and_taken_away() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let (other, _) = shop.paid(&app).await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    shop.post(&path, &json!({"amount": "5.00"}))
        .await
        .expect(201);
    let person = app.person(Role::Finance).await;
    let page = person.get(&at(&app, "ledger")).await.expect(200).text;
    assert!(page.contains("Debits and credits are equal"), "{page}");
    let total = page.split_once("<tfoot>").expect("a total").1;
    let total = total.split_once("</tfoot>").expect("its end").0;
    assert!(
        total.ends_with("0.00&nbsp;<span class=\"currency\">EUR</span></span></td></tr>"),
        "{total}"
    );
    for (filter, wanted) in [
        (format!("order={}", paid.order), 2),
        (format!("payment={payment}"), 2),
        ("account=refunds".to_owned(), 1),
        ("account=sales".to_owned(), 2),
        ("account=suspense".to_owned(), 0),
        ("from=2000-01-01&to=2000-01-02".to_owned(), 0),
        (format!("order={}&payment={payment}", other.order), 0),
        (String::new(), 3),
    ] {
        let page = person
            .get(&at(&app, &format!("ledger?{filter}")))
            .await
            .expect(200)
            .text;
        assert_eq!(page.matches("<tbody id=\"ltx_").count(), wanted, "{filter}");
        let file = person
            .get(&at(&app, &format!("ledger/transactions.csv?{filter}")))
            .await
            .expect(200);
        assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(
            file.text.lines().count(),
            1 + 2 * wanted,
            "{filter}: {}",
            file.text
        );
    }
    assert_eq!(audited(&app, "ledger.export").await, 8);
    let operator = app.person(Role::Operator).await;
    operator
        .get(&at(&app, "ledger/transactions.csv"))
        .await
        .expect(403);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_say_what_does_not_agree_and_what_to_do() {
    let mut app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, _) = shop.paid(&app).await;
    shop.place_order().await;
    let person = app.person(Role::Finance).await;
    let url = at(&app, "findings");
    let good = person
        .post(&url, &[("idempotency_key", &fresh_key())])
        .await
        .expect(200)
        .text;
    assert!(
        good.contains("Everything agrees") && good.contains("There are no older orders"),
        "{good}"
    );
    let look = app.look().await;
    let sql = format!(
        "UPDATE \"order\" SET paid_minor = 1 WHERE id = '{}'",
        paid.order
    );
    look.execute_unprepared(&sql).await.expect("a fault");
    look.close().await.expect("closes");
    let bad = person
        .post(&url, &[("idempotency_key", &fresh_key())])
        .await
        .expect(200)
        .text;
    assert!(
        bad.contains("<code>order_state</code>") && bad.contains(&paid.order),
        "{bad}"
    );
    let viewer = app.person(Role::Viewer).await;
    let page = viewer.get(&url).await.expect(200).text;
    assert!(page.contains("needs the role Finance"));
    // In bounded steps, newest first, to the end.
    let store = &app.services.store;
    let (report, last) = store
        .verify_back(app.shop.id, None, 1)
        .await
        .expect("a report");
    assert_eq!((report.broken(), report.examined["order"]), (0, 1));
    let (report, last) = store
        .verify_back(app.shop.id, last, 1)
        .await
        .expect("a report");
    assert!(report.broken() > 0);
    let (report, last) = store
        .verify_back(app.shop.id, last, 1)
        .await
        .expect("a report");
    assert_eq!((report.examined.len(), last), (0, None));
    app.expect_broken();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_shops_is_not_there() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let path = format!("/v1/orders/{}/refunds", paid.order);
    let refund = shop
        .post(&path, &json!({"amount": "5.00"}))
        .await
        .expect(201);
    let event = app.texts("SELECT id FROM provider_event").await.remove(0);
    let call = app.texts("SELECT id FROM provider_call").await.remove(0);
    let other = app.another_shop("other", Mode::Test).await;
    let person = app.person(Role::Admin).await;
    let elsewhere = |path: &str| format!("/staff/{}/{path}", other.id);
    for path in [
        format!("payments/{payment}"),
        format!("refunds/{}", refund.str("id")),
        format!("webhooks/{event}"),
        format!("webhooks/{event}/preview"),
        format!("calls/{call}"),
    ] {
        let own = person.get(&at(&app, &path)).await;
        assert_eq!(own.status, 200, "{path}");
        person.get(&elsewhere(&path)).await.expect(404);
    }
    for path in [
        format!("payments/{payment}/ask"),
        format!("webhooks/{event}/replay"),
        format!("calls/{call}/retry"),
    ] {
        let key = fresh_key();
        let fields = [("idempotency_key", key.as_str())];
        person.post(&elsewhere(&path), &fields).await.expect(404);
    }
    for list in ["payments", "refunds", "webhooks", "calls", "ledger"] {
        let page = person.get(&elsewhere(list)).await.expect(200).text;
        for id in [payment.as_str(), refund.str("id"), &event, &call] {
            assert!(!page.contains(id), "{list}: {id}");
        }
    }
    let named = format!("payments?order={}", paid.order);
    let page = person.get(&elsewhere(&named)).await.expect(200).text;
    assert!(!page.contains(&payment));
    let figures = app.services.overview(other.id).await.expect("an overview");
    assert!(figures.today.money.is_empty() && figures.problems.is_empty());
    app.finish().await;
}

/// An event of no order is seen by the shop that owns the account, and by no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_is_shown_as_text_and_names_nobody() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (_, mut event) = unapplied(&app, &shop).await;
    let evil = "<img src=x onerror=alert(1)>";
    event["type"] = json!("checkout.session.pondered");
    event["id"] = json!("evt_evil");
    event["data"]["object"]["customer_details"] = json!({"email": "ada@example.com", "name": evil});
    app.deliver(&event).await.expect(200);
    // Such a type is refused where it arrives; a row of another version may still have one.
    let look = app.look().await;
    let sql = format!("UPDATE provider_event SET type = '{evil}', reason = '{evil}'");
    look.execute_unprepared(&sql).await.expect(&sql);
    look.close().await.expect("closes");
    let person = app.person(Role::Viewer).await;
    let id = app.texts("SELECT id FROM provider_event").await.remove(0);
    let query = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    for path in [
        "webhooks".to_owned(),
        format!("webhooks?kind={query}"),
        format!("webhooks/{id}"),
        format!("payments?provider_id={query}&status={query}&order={query}&from={query}"),
        format!("calls?subject={query}"),
        format!("ledger?payment={query}&account={query}"),
        format!("webhooks/{id}?result={query}"),
    ] {
        let page = person.get(&at(&app, &path)).await.expect(200).text;
        assert!(
            !page.contains("<img") && !page.contains("<b>evil"),
            "{path}: {page}"
        );
        assert!(!page.contains("ada@example.com"), "{path}");
    }
    let list = person.get(&at(&app, "webhooks")).await.expect(200).text;
    assert!(list.contains(&id));
    let other = app.another_shop("other", Mode::Test).await;
    let page = person
        .get(&format!("/staff/{}/webhooks", other.id))
        .await
        .expect(200)
        .text;
    assert!(!page.contains(&id), "it is the owner's to see");
    assert!(audited(&app, "webhook.view").await >= 1);
    app.finish().await;
}
