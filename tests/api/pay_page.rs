//! The provider's page as a customer's browser uses it: the four test cards, from the form to the shop's page.

use reqwest::header::LOCATION;
use serde_json::{Value, json};

use crate::harness::{Actor, Answer, TestApp, eventually};

/// A customer in front of the page.
struct Browser<'a> {
    app: &'a TestApp,
    shop: Actor,
    order: String,
    session: Value,
}

impl Browser<'_> {
    async fn opens_the_page_of_a_new_order(app: &TestApp) -> Browser<'_> {
        let shop = app.merchant().await;
        let order = shop.place_order().await.str("id").to_owned();
        let body = json!({
            "success_url":
                "https://shop.example/thanks?order={ORDER_ID}&session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/cart",
        });
        let path = format!("/v1/orders/{order}/checkout_sessions");
        let session = shop.post(&path, &body).await.expect(201).json;
        Browser {
            app,
            shop,
            order,
            session,
        }
    }

    fn url(&self) -> &str {
        self.session["url"].as_str().expect("a page to pay on")
    }

    async fn get(&self, url: &str) -> Answer {
        Answer::read(self.app.http.get(url).send().await.expect("the page")).await
    }

    /// Sends the form of a page with these values in its fields, as a browser would.
    async fn submit(&self, page: &Answer, typed: &[(&str, &str)]) -> Answer {
        let form = Form::of(&page.text);
        let mut fields = form.fields.clone();
        for (name, value) in typed {
            let field = fields.iter_mut().find(|(field, _)| field == name);
            field
                .unwrap_or_else(|| panic!("no field {name}: {}", page.text))
                .1 = (*value).to_owned();
        }
        let action = reqwest::Url::parse(self.url()).and_then(|url| url.join(&form.action));
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let request = self
            .app
            .http
            .post(action.expect("an address"))
            .body(body.join("&"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        Answer::read(request.send().await.expect("an answer")).await
    }

    async fn pays_with(&self, card: &str) -> Answer {
        let page = self.get(self.url()).await.expect(200);
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(
            page.text.contains("25.00") && page.text.contains("2 × Mug"),
            "{}",
            page.text
        );
        self.submit(
            &page,
            &[("card_number", card), ("expiry", "12 / 34"), ("cvc", "123")],
        )
        .await
    }

    async fn status(&self) -> String {
        let order = self.shop.order(&self.order).await;
        order["payment_status"]
            .as_str()
            .expect("a status")
            .to_owned()
    }

    async fn ends_paid_at_the_shop(&self, answer: &Answer) {
        assert_eq!(answer.status, 303, "{}", answer.text);
        let target = answer
            .headers
            .get(LOCATION)
            .expect("a way back")
            .to_str()
            .expect("text");
        let session = self.session["id"].as_str().expect("an id");
        assert_eq!(
            target,
            format!(
                "https://shop.example/thanks?order={}&session={session}",
                self.order
            )
        );
        eventually("the order is paid", async || self.status().await == "paid").await;
        let over = self.get(self.url()).await.expect(200);
        assert!(
            !over.text.contains("card_number"),
            "it can be paid twice: {}",
            over.text
        );
    }

    async fn is_told(&self, answer: &Answer, words: &str) {
        assert_eq!(answer.status, 402, "{}", answer.text);
        let told = answer
            .text
            .split("role=\"alert\">")
            .nth(1)
            .expect("an alert");
        let told = told.split('<').next().unwrap_or_default();
        assert!(told.contains(words), "{told}");
        assert_eq!(self.status().await, "unpaid");
    }
}

/// The first form of a page.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    fn of(html: &str) -> Form {
        let start = html.find("<form").expect("a form");
        let html = &html[start..];
        let html = &html[..html.find("</form>").expect("its end")];
        let head = html.split('>').next().expect("a tag");
        assert_eq!(attribute(head, "method").as_deref(), Some("post"));
        let inputs = html
            .split("<input")
            .skip(1)
            .filter_map(|tag| tag.split('>').next());
        let fields = inputs.map(|tag| {
            let name = attribute(tag, "name").expect("a name");
            (name, attribute(tag, "value").unwrap_or_default())
        });
        Form {
            action: attribute(head, "action").expect("an action"),
            fields: fields.collect(),
        }
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!(" {name}=\"")).nth(1)?;
    value.split('"').next().map(str::to_owned)
}

/// As forms are encoded, which needs no more than this here.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_card_pays_and_leads_back_to_the_shop() {
    let app = TestApp::start().await;
    let browser = Browser::opens_the_page_of_a_new_order(&app).await;
    let answer = browser.pays_with("4242 4242 4242 4242").await;
    browser.ends_paid_at_the_shop(&answer).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_is_told_and_another_one_may_be_tried() {
    let app = TestApp::start().await;
    let browser = Browser::opens_the_page_of_a_new_order(&app).await;
    let answer = browser.pays_with("4000000000000002").await;
    browser.is_told(&answer, "declined").await;
    let answer = browser.pays_with("4000 0000 0000 9995").await;
    browser.is_told(&answer, "insufficient funds").await;
    let answer = browser.pays_with("1234").await;
    browser.is_told(&answer, "invalid").await;
    // The page that tells of the error is itself a form.
    let typed = [("card_number", "4242424242424242")];
    let answer = browser.submit(&answer, &typed).await;
    browser.ends_paid_at_the_shop(&answer).await;
    let order = browser.shop.order(&browser.order).await;
    assert_eq!(order["amount_paid"], "25.00");
    assert!(order["review"].is_null(), "{order}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_asks_pays_once_the_customer_has_confirmed() {
    let app = TestApp::start().await;
    let browser = Browser::opens_the_page_of_a_new_order(&app).await;
    for outcome in ["fail", "complete"] {
        let answer = browser.pays_with("4000 0025 0000 3155").await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let target = answer
            .headers
            .get(LOCATION)
            .expect("a way")
            .to_str()
            .expect("text");
        let url = reqwest::Url::parse(browser.url()).and_then(|url| url.join(target));
        let asked = browser
            .get(url.expect("an address").as_str())
            .await
            .expect(200);
        assert_eq!(
            browser.status().await,
            "unpaid",
            "before the customer confirmed"
        );
        let button = format!("name=\"outcome\" value=\"{outcome}\"");
        assert!(asked.text.contains(&button), "{}", asked.text);
        let action = reqwest::Url::parse(browser.url())
            .and_then(|url| url.join(&Form::of(&asked.text).action))
            .expect("an address");
        let request = app.http.post(action).body(format!("outcome={outcome}"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = Answer::read(request.send().await.expect("an answer")).await;
        match outcome {
            "fail" => browser.is_told(&answer, "authenticate").await,
            _ => browser.ends_paid_at_the_shop(&answer).await,
        }
    }
    app.finish().await;
}
