//! Goal: the bytes of a session request are exactly known, and its lines always sum to the total.

use super::*;
use crate::domain::currency::Currency;
use crate::domain::time::Timestamp;

fn money(text: &str, code: &str) -> Money {
    let currency = Currency::from_code(code).expect(code);
    Money::parse(text, currency).expect(text)
}

fn session(total: Money, lines: &[(&str, Money)]) -> NewSession {
    let lines = lines
        .iter()
        .map(|(name, amount)| ((*name).to_owned(), *amount));
    NewSession {
        session: "cs_00000000000000000000000001".parse().expect("an id"),
        order: "ord_00000000000000000000000002".parse().expect("an id"),
        order_number: "1001".to_owned(),
        deployment: "d1".to_owned(),
        amount: total,
        lines: lines.collect(),
        capture: Capture::Automatic,
        success_url: "https://shop.example/thanks?o=1&x={y}".to_owned(),
        cancel_url: "https://shop.example/cart".to_owned(),
        customer_email: Some("anna+till@example.com".to_owned()),
        expires_at: Timestamp::from_ms(1_790_000_000_999),
    }
}

fn text(session: &NewSession) -> String {
    String::from_utf8(body(session).expect("chargeable")).expect("ASCII")
}

/// The lines as (name, amount), read back by an independent parser.
fn sent_lines(session: &NewSession) -> Vec<(String, i64)> {
    let url = format!("http://x/?{}", text(session));
    let url = reqwest::Url::parse(&url).expect("a valid query");
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let all = |suffix: &str| {
        let found = pairs.iter().filter(|(name, _)| name.ends_with(suffix));
        found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert!(all("[quantity]").iter().all(|quantity| quantity == "1"));
    let amounts = all("[unit_amount]");
    let amounts = amounts
        .iter()
        .map(|amount| amount.parse().expect("integer"));
    all("[product_data][name]")
        .into_iter()
        .zip(amounts)
        .collect()
}

#[test]
fn one_session_is_exactly_these_bytes() {
    let lines = [
        ("2 × Mug", money("39.98", "EUR")),
        ("Shipping", money("19.99", "EUR")),
    ];
    let expected = concat!(
        "mode=payment",
        "&client_reference_id=ord_00000000000000000000000002",
        "&success_url=https%3A%2F%2Fshop.example%2Fthanks%3Fo%3D1%26x%3D%7By%7D",
        "&cancel_url=https%3A%2F%2Fshop.example%2Fcart",
        "&expires_at=1790000000",
        "&customer_email=anna%2Btill%40example.com",
        "&adaptive_pricing[enabled]=false",
        "&line_items[0][quantity]=1",
        "&line_items[0][price_data][currency]=eur",
        "&line_items[0][price_data][unit_amount]=3998",
        "&line_items[0][price_data][product_data][name]=2+%C3%97+Mug",
        "&line_items[1][quantity]=1",
        "&line_items[1][price_data][currency]=eur",
        "&line_items[1][price_data][unit_amount]=1999",
        "&line_items[1][price_data][product_data][name]=Shipping",
        "&payment_intent_data[capture_method]=automatic",
        "&metadata[till_deployment]=d1",
        "&metadata[till_order]=ord_00000000000000000000000002",
        "&metadata[till_session]=cs_00000000000000000000000001",
        "&payment_intent_data[metadata][till_deployment]=d1",
        "&payment_intent_data[metadata][till_order]=ord_00000000000000000000000002",
        "&payment_intent_data[metadata][till_session]=cs_00000000000000000000000001",
    );
    assert_eq!(text(&session(money("59.97", "EUR"), &lines)), expected);
}

#[test]
fn manual_capture_and_a_missing_address_are_said() {
    let total = money("1", "EUR");
    let mut wanted = session(total, &[("Mug", total)]);
    wanted.capture = Capture::Manual;
    wanted.customer_email = None;
    let sent = text(&wanted);
    assert!(
        sent.contains("payment_intent_data[capture_method]=manual"),
        "{sent}"
    );
    assert!(!sent.contains("customer_email"), "{sent}");
}

#[test]
fn free_lines_are_left_out() {
    let lines = [("Mug", money("5", "EUR")), ("Gift", money("0", "EUR"))];
    let sent = sent_lines(&session(money("5", "EUR"), &lines));
    assert_eq!(sent, [("Mug".to_owned(), 500)]);
}

#[test]
fn lines_that_do_not_say_the_total_become_one_summary() {
    let summary = |total, lines: &[(&str, Money)]| {
        let sent = sent_lines(&session(total, lines));
        assert_eq!(sent.len(), 1, "{sent:?}");
        let (name, amount) = sent.into_iter().next().expect("one line");
        assert_eq!(name, "Order 1001");
        amount
    };
    let eur = |text| money(text, "EUR");
    assert_eq!(summary(eur("5"), &[("Mug", eur("4.99"))]), 500);
    assert_eq!(summary(eur("5"), &[("Mug", eur("5.01"))]), 500);
    assert_eq!(summary(eur("5"), &[("Mug", money("5", "USD"))]), 500);
    assert_eq!(summary(eur("5"), &[]), 500);
    assert_eq!(summary(eur("0"), &[("Gift", eur("0"))]), 0);
    let discount = Money::new(-100, eur("1").currency());
    assert_eq!(
        summary(eur("4"), &[("Mug", eur("5")), ("Discount", discount)]),
        400
    );
    // Each line alone could not be charged, the total can.
    let halves = [("A", money("0.50", "MGA")), ("B", money("0.50", "MGA"))];
    assert_eq!(summary(money("1", "MGA"), &halves), 1);
    let fils = [("A", money("5.124", "KWD")), ("B", money("0.006", "KWD"))];
    assert_eq!(summary(money("5.13", "KWD"), &fils), 5_130);
    let many = vec![("Mug", eur("1")); 100];
    assert_eq!(summary(eur("100"), &many), 10_000);
    assert_eq!(sent_lines(&session(eur("99"), &many[..99])).len(), 99);
}

#[test]
fn names_fit_and_are_never_blank() {
    let total = money("1", "EUR");
    let sent = |name: &str| {
        let lines = sent_lines(&session(total, &[(name, total)]));
        lines.into_iter().next().expect("one line").0
    };
    assert_eq!(sent(&"é".repeat(300)), "é".repeat(250));
    assert_eq!(sent(" \t\n"), "Order 1001");
    assert_eq!(sent(" Mug "), "Mug");
}

#[test]
fn a_total_that_cannot_be_charged_is_refused() {
    for total in [
        money("5.124", "KWD"),
        money("1.50", "MGA"),
        money("1", "IQD"),
    ] {
        assert!(body(&session(total, &[("Mug", total)])).is_err());
    }
}

#[test]
fn equal_sessions_are_equal_bytes() {
    let total = money("1", "EUR");
    let wanted = session(total, &[("Mug", total)]);
    assert_eq!(body(&wanted), body(&wanted.clone()));
}

fn sought() -> SoughtSession {
    SoughtSession {
        session: "cs_00000000000000000000000001".parse().expect("an id"),
        deployment: "d1".to_owned(),
        from: Timestamp::from_ms(1_790_000_000_999),
        until: Timestamp::from_ms(1_790_000_100_000),
    }
}

fn looked(status: u16, body: &serde_json::Value) -> Result<Looked, FetchError> {
    let answer = Answer {
        status,
        json: true,
        should_retry: false,
        replayed: false,
        body: Ok(body.to_string().into_bytes()),
    };
    page(answer, &sought())
}

#[test]
fn the_list_is_asked_for_by_time_and_page_by_page() {
    let first = "/l?created%5Bgte%5D=1790000000&created%5Blte%5D=1790000100&limit=100";
    assert_eq!(list_path("/l", &sought(), None), first);
    assert_eq!(
        list_path("/l", &sought(), Some("cs_last")),
        format!("{first}&starting_after=cs_last")
    );
}

#[test]
fn only_the_session_with_both_our_marks_is_found() {
    use serde_json::json;
    let ours = "cs_00000000000000000000000001";
    // What others made on the account is of any shape.
    let others = [
        json!({"id": "cs_a", "mode": "subscription", "metadata": {}}),
        json!({"id": "cs_b", "metadata": null}),
        json!({"id": "cs_c", "metadata": {"till_session": ours}}),
        json!({"id": "cs_d", "metadata": {"till_session": ours, "till_deployment": "d2"}}),
        json!({"id": "cs_e", "metadata": {"till_session": "cs_2", "till_deployment": "d1"}}),
    ];
    let found = |found: Option<&str>, next: Option<&str>| {
        Ok(Looked {
            found: found.map(str::to_owned),
            next: next.map(str::to_owned),
        })
    };
    let without = json!({"data": others, "has_more": false});
    assert_eq!(looked(200, &without), found(None, None));
    let more = json!({"data": others, "has_more": true});
    assert_eq!(looked(200, &more), found(None, Some("cs_e")));
    let mark = json!({"id": "cs_f", "metadata": {"till_session": ours, "till_deployment": "d1"}});
    let with = json!({"data": [others[0], mark, others[1]], "has_more": false});
    assert_eq!(looked(200, &with), found(Some("cs_f"), None));
    assert_eq!(
        looked(200, &json!({"data": [], "has_more": false})),
        found(None, None)
    );
}

#[test]
fn a_page_that_is_none_proves_nothing() {
    use serde_json::json;
    let empty = json!({"data": [], "has_more": false});
    for (status, body, why) in [
        (
            200,
            json!({"data": [], "has_more": true}),
            Ambiguity::BadAnswer,
        ),
        (200, json!({"data": []}), Ambiguity::BadAnswer),
        (
            200,
            json!({"data": [{"id": "a/b"}], "has_more": false}),
            Ambiguity::BadAnswer,
        ),
        (
            200,
            json!({"data": [{"metadata": {}}], "has_more": false}),
            Ambiguity::BadAnswer,
        ),
        (429, empty.clone(), Ambiguity::RateLimited),
        (503, empty.clone(), Ambiguity::ServerError),
        (302, empty.clone(), Ambiguity::BadAnswer),
    ] {
        let expected = Err(FetchError::Unavailable(why));
        assert_eq!(looked(status, &body), expected, "{status} {body}");
    }
    for status in [401, 403] {
        let refused = looked(status, &empty);
        assert!(
            matches!(refused, Err(FetchError::Refused(_))),
            "{refused:?}"
        );
    }
}
