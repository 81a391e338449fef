//! What people type into the console's forms: amounts as they write them, and never read as something else.

use till::domain::staff::Role;

use crate::harness::TestApp;
use crate::harness::actor::fresh_key;

/// The value of a hidden field of a page.
#[track_caller]
pub fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&field)
        .unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_typed_as_people_write_amounts() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (paid, payment) = shop.paid(&app).await;
    let finance = app.person(Role::Finance).await;
    let path = format!("/staff/{}/orders/{}/refund", app.shop.id, paid.order);
    let asked = |amount: &str| format!("{path}?payment={payment}&share=amount&amount={amount}");
    for (typed, why) in [
        ("", "Amount: say how much."),
        ("five", "Amount: “five” is no amount."),
        (
            "1.250",
            "Amount: “1.250” can be read in two ways. Write 1250,",
        ),
        (
            "1,250",
            "Amount: “1,250” can be read in two ways. Write 1250,",
        ),
        (
            "5%20USD",
            "Amount: “5 USD” is not in EUR, and this money is.",
        ),
        (
            "0.001",
            "Amount: “0.001” has more decimal digits than EUR has: 2.",
        ),
        ("0,00", "Amount: must be more than nothing."),
        ("1.250,00", "more than is left"),
    ] {
        let again = finance.get(&asked(typed)).await.expect(422);
        assert!(again.text.contains(why), "{typed}: {}", again.text);
    }
    for typed in ["5.50", "5,50", "5,5", "EUR%205.50", "5,50%C2%A0%E2%82%AC"] {
        let page = finance.get(&asked(typed)).await.expect(200);
        assert!(
            page.text.contains("Refund 5.50 EUR"),
            "{typed}: {}",
            page.text
        );
    }
    let page = finance.get(&asked("5,50")).await.expect(200).text;
    let key = fresh_key();
    let version = hidden(&page, "version");
    let sent = [
        ("share", "amount"),
        ("amount", "5,50"),
        ("payment", payment.as_str()),
        ("version", version.as_str()),
        ("idempotency_key", key.as_str()),
    ];
    assert_eq!(hidden(&page, "amount"), "5,50");
    finance.post(&path, &sent).await.expect(303);
    // A double click, after the first one was carried out.
    finance.post(&path, &sent).await.expect(303);
    let refunds = shop.refunds_of(&paid.order).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["amount"], "5.50");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_what_is_reserved_is_taken() {
    let app = TestApp::quiet().await;
    let shop = app.merchant().await;
    let (reserved, payment) = shop.reserved(&app).await;
    let finance = app.person(Role::Finance).await;
    let base = format!("/staff/{}/orders/{}", app.shop.id, reserved.order);
    let path = format!("{base}/payments/{payment}/capture");
    let whole = finance.get(&path).await.expect(200).text;
    for told in [
        "Capture 25.00 EUR",
        "<input id=\"amount\" name=\"amount\" type=\"text\" value=\"\"",
        "Leave it empty to capture all that is reserved, 25.00 EUR.",
    ] {
        assert!(whole.contains(told), "{told}: {whole}");
    }
    for (typed, why) in [
        ("five", "Amount: “five” is no amount."),
        ("1,250", "can be read in two ways"),
        ("0", "Amount: must be more than nothing"),
        ("25.01", "Amount: must be at most what is reserved, 25.00"),
    ] {
        let again = finance
            .get(&format!("{path}?amount={typed}"))
            .await
            .expect(422);
        assert!(again.text.contains(why), "{typed}: {}", again.text);
        assert!(
            !again.text.contains("name=\"version\""),
            "nothing to confirm"
        );
    }
    let page = finance
        .get(&format!("{path}?amount=20,5"))
        .await
        .expect(200)
        .text;
    for told in [
        "Capture 20.50 EUR",
        "4.50&nbsp;",
        "is released of what is reserved by",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let (key, version) = (fresh_key(), hidden(&page, "version"));
    let sent = |amount: &'static str| {
        let fields = [
            ("amount", amount),
            ("version", &version),
            ("idempotency_key", &key),
        ];
        let (finance, path) = (finance.clone(), path.clone());
        let fields = fields.map(|(name, value)| (name, value.to_owned()));
        async move {
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            finance.post(&path, &fields).await
        }
    };
    let refused = sent("1,250").await.expect(409);
    assert!(
        refused.text.contains("can be read in two ways"),
        "{}",
        refused.text
    );
    sent("20,5").await.expect(303);
    let order = shop.order(&reserved.order).await;
    assert_eq!(order["amount_paid"], "20.50");
    app.finish().await;
}
