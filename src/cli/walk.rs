//! The demo's order, step by step over real HTTP, as a shop's server would do it.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// A shop to walk an order through.
pub(super) struct Shop {
    pub till_url: String,
    pub simulator_url: String,
    pub secret_key: String,
    pub publishable_key: String,
}

/// How long the webhook may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Places an order, checks it out, pays it, and waits until it is paid.
pub(super) async fn walk(shop: &Shop) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(15))
        .build()?;
    let run = Walk { shop, client };
    let order = run.place().await?;
    let id = text(&order, "id")?;
    println!(
        "1. Placed     order {} ({id}) for {} {}: {}",
        text(&order, "number")?,
        text(&order, "total")?,
        text(&order, "currency")?,
        text(&order, "payment_status")?
    );
    let session = run.check_out(id).await?;
    println!(
        "2. Checkout   {}, at the provider {}\n              {}",
        text(&session, "id")?,
        short(text(&session, "provider_session_id")?),
        text(&session, "url")?
    );
    run.pay(text(&session, "provider_session_id")?).await?;
    println!(
        "3. Paid       with a test card on the provider's page; the provider sends its webhook"
    );
    let paid = run.until_paid(id).await?;
    println!(
        "4. Webhook    signature verified, amount checked, ledger posted: order is {}",
        text(&paid, "payment_status")?
    );
    let page = run.get("/v1/orders?payment_status=paid&limit=1").await?;
    let seen = page.pointer("/data/0/id").and_then(Value::as_str);
    if seen != Some(id) {
        bail!("the paid order is not on top of the list of paid orders");
    }
    println!(
        "5. Staff read order {}: total {} {}, paid {}, refunded {}",
        text(&paid, "number")?,
        text(&paid, "total")?,
        text(&paid, "currency")?,
        text(&paid, "amount_paid")?,
        text(&paid, "amount_refunded")?
    );
    Ok(())
}

struct Walk<'a> {
    shop: &'a Shop,
    client: reqwest::Client,
}

impl Walk<'_> {
    async fn place(&self) -> anyhow::Result<Value> {
        let body = json!({
            "currency": "EUR",
            "customer": {"email": "ada@example.com", "name": "Ada"},
            "line_items": [
                {"sku": "mug", "quantity": 2},
                {"sku": "shirt", "quantity": 1},
                {"name": "Engraving", "unit_price": "4.50", "quantity": 1},
            ],
        });
        self.post("/v1/orders", &body).await
    }

    async fn check_out(&self, order: &str) -> anyhow::Result<Value> {
        let done = format!("{}/health/live", self.shop.till_url);
        let body = json!({"success_url": done, "cancel_url": done});
        let path = format!("/v1/orders/{order}/checkout_sessions");
        self.post(&path, &body).await
    }

    async fn pay(&self, provider_session: &str) -> anyhow::Result<()> {
        let url = format!(
            "{}/_simulator/sessions/{provider_session}/pay",
            self.shop.simulator_url
        );
        let answer = self.client.post(url).send().await?;
        if !answer.status().is_success() {
            bail!(
                "the simulator did not take the payment: {}",
                answer.status()
            );
        }
        Ok(())
    }

    async fn until_paid(&self, order: &str) -> anyhow::Result<Value> {
        let give_up = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now = self.get(&format!("/v1/orders/{order}")).await?;
            if now.get("payment_status").and_then(Value::as_str) == Some("paid") {
                return Ok(now);
            }
            if tokio::time::Instant::now() > give_up {
                bail!("the order was not paid within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .client
            .post(format!("{}{path}", self.shop.till_url))
            .header("Idempotency-Key", uuid::Uuid::new_v4().to_string())
            .json(body);
        self.send(request, path).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.client.get(format!("{}{path}", self.shop.till_url));
        self.send(request, path).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(&self.shop.secret_key).send().await?;
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .with_context(|| format!("{path} answered without JSON"))?;
        if !status.is_success() {
            bail!("{path} answered {status}: {body}");
        }
        Ok(body)
    }
}

fn text<'v>(value: &'v Value, field: &str) -> anyhow::Result<&'v str> {
    let found = value.get(field).and_then(Value::as_str);
    found.with_context(|| format!("the answer has no `{field}`"))
}

/// Enough of a long provider id to recognise it.
fn short(id: &str) -> String {
    match id.char_indices().nth(20) {
        Some((end, _)) => format!("{}…", &id[..end]),
        None => id.to_owned(),
    }
}
