//! `till demo`: everything on one machine from nothing, and one real order from placed to paid.

use std::process::ExitCode;
use std::time::Instant;

use super::serve::{self, Running};
use super::walk::{Shop, walk};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::access::{KeyKind, Scopes};
use crate::domain::currency::Currency;
use crate::domain::money::Money;
use crate::service::{catalogue, keys};
use crate::store::catalogue::NewProduct;

/// The demo's own database, in the folder it is started in.
const DATABASE: &str = "sqlite://till-demo.db";

pub(super) async fn demo(mut config: Config, once: bool) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    config.database.url = DATABASE.to_owned();
    // The demo is always its own provider, whatever is configured for the real one.
    config.providers = crate::config::Providers::default();
    let config = config.on_a_free_port();
    println!("Till demo: a shop, a payment provider and one order, all on this machine.\n");
    let running = serve::start(config, true).await?;
    let shop = prepare(&running).await?;
    println!("  Till        {}", running.base_url);
    println!(
        "  Simulator   {}  (stands in for Stripe)",
        shop.simulator_url
    );
    println!(
        "  Database    {}\n",
        DATABASE.trim_start_matches("sqlite://")
    );
    println!("Keys (also good for your shop's code):\n");
    println!("  secret key        {}", shop.secret_key);
    println!("  publishable key   {}\n", shop.publishable_key);
    walk(&shop).await?;
    println!(
        "\nPaid {} ms after the start.\n",
        started.elapsed().as_millis()
    );
    if once {
        running.stop().await?;
        return Ok(ExitCode::SUCCESS);
    }
    tell_what_next(&shop);
    running.until_stopped().await
}

/// A shop with two keys and something to sell.
async fn prepare(running: &Running) -> anyhow::Result<Shop> {
    let store = &running.services.store;
    let clock = Clock::system();
    let shop = keys::find_shop(store, None).await?;
    let secret = keys::create_key(store, &clock, shop.clone(), KeyKind::Secret, Scopes::all());
    let secret_key = secret.await?.text;
    let publishable = keys::create_key(
        store,
        &clock,
        shop.clone(),
        KeyKind::Publishable,
        Scopes::all(),
    );
    let publishable_key = publishable.await?.text;
    catalogue::put_products(store, shop.id, &sample_catalogue()?).await?;
    let simulator = running.simulator();
    let simulator =
        simulator.ok_or_else(|| anyhow::anyhow!("the demo runs without its simulator"))?;
    Ok(Shop {
        till_url: running.base_url.clone(),
        simulator_url: simulator.base_url(),
        secret_key,
        publishable_key,
    })
}

fn sample_catalogue() -> anyhow::Result<Vec<NewProduct>> {
    let (eur, jpy) = (Currency::from_code("EUR")?, Currency::from_code("JPY")?);
    let product = |sku: &str, name: &str, cents: i64, yen: i64| {
        let prices = vec![Money::new(cents, eur), Money::new(yen, jpy)];
        NewProduct::new(sku, name, prices)
    };
    Ok(vec![
        product("mug", "Mug", 1_250, 1_500),
        product("shirt", "T-shirt", 2_499, 3_000),
        product("sticker", "Sticker", 250, 300),
    ])
}

fn tell_what_next(shop: &Shop) {
    let Shop {
        till_url,
        secret_key,
        ..
    } = shop;
    println!(
        "Till keeps serving; stop it with Ctrl-C. Its API document: {till_url}/openapi.json\n"
    );
    println!("Three things to try next, in another terminal:\n");
    println!(
        "# 1. Look the order up\ncurl {till_url}/v1/orders -H 'Authorization: Bearer {secret_key}'\n"
    );
    println!(
        "# 2. Place one of your own\ncurl {till_url}/v1/orders -H 'Authorization: Bearer {secret_key}' \\\n  \
         -H 'Content-Type: application/json' -H \"Idempotency-Key: $(date +%s%N)\" \\\n  \
         -d '{{\"currency\":\"EUR\",\"line_items\":[{{\"sku\":\"shirt\",\"quantity\":1}}]}}'\n"
    );
    println!(
        "# 3. Pay it: put its id in, open the answer's `url` in a browser, card 4242 4242 4242 4242\n\
         curl {till_url}/v1/orders/ORDER_ID/checkout_sessions -H 'Authorization: Bearer {secret_key}' \\\n  \
         -H 'Content-Type: application/json' -H \"Idempotency-Key: $(date +%s%N)\" \\\n  \
         -d '{{\"success_url\":\"{till_url}/health/live\",\"cancel_url\":\"{till_url}/health/live\"}}'\n"
    );
}
