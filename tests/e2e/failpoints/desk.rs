//! Somebody of the staff who decides in the console, and sends a form again until it is answered.

use reqwest::Method;

use crate::harness::{Client, Phoenix};
use crate::staff::{cookie, sign_in};

/// The fields of the form that acts, as a page draws them, as a browser sends them.
fn form_of(page: &str) -> String {
    let form = page.split("<form method=\"post\">").nth(1);
    let form = form.and_then(|form| form.split("</form>").next());
    let mut body = reqwest::Url::parse("form:").expect("a URL");
    for input in form.unwrap_or_default().split("<input ").skip(1) {
        let part = |name: &str| {
            let (_, rest) = input.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        if let (Some(name), Some(value)) = (part("name"), part("value")) {
            body.query_pairs_mut().append_pair(name, value);
        }
    }
    body.query().expect("a form").to_owned()
}

/// Answers the only open question of an order; the form is drawn once, and sent until there is an answer.
pub async fn decide(phoenix: &Phoenix, order: &str, resolution: &str) {
    let email = format!("{}@shop.example", order.replace('_', "-").to_lowercase());
    let words = [
        "staff",
        "create",
        "--email",
        &email,
        "--name",
        "Ada",
        "--role",
        "finance",
        "--generate",
        "--json",
    ];
    let made = phoenix.sandbox.run(&words).await.success().json();
    let password = made["password"].as_str().expect("a password");
    let client = &phoenix.shop;
    let cookie = cookie(&sign_in(client, &email, password).await);
    let shop = phoenix.sandbox.texts("SELECT id FROM shop").await.remove(0);
    let open = format!("SELECT id FROM review WHERE order_id = '{order}' AND status = 'open'");
    let review = phoenix.sandbox.texts(&open).await.remove(0);
    let path = format!("/staff/{shop}/reviews/{review}/{resolution}");
    let request = client.request(Method::GET, &path).header("Cookie", &cookie);
    let page = Client::send(request).await.expect("a page");
    assert_eq!(page.status, 200, "{}", page.text);
    let form = form_of(&page.text);
    phoenix
        .until("the form is answered", async || {
            let request = client
                .request(Method::POST, &path)
                .header("Cookie", &cookie)
                .header("Sec-Fetch-Site", "same-origin")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form.clone());
            match Client::send(request).await {
                Ok(answer) if answer.status == 503 => false,
                Ok(answer) => {
                    assert_eq!(answer.status, 303, "{}", answer.text);
                    true
                }
                Err(_) => {
                    phoenix.rise().await;
                    false
                }
            }
        })
        .await;
}
