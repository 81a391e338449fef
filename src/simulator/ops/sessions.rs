//! `/v1/checkout/sessions`
use serde_json::Value;

use super::page_json;
use crate::simulator::acts::{pay, time};
use crate::simulator::failure::Failure;
use crate::simulator::money;
use crate::simulator::objects::session::{Line, PaymentData, Session, SessionStatus};
use crate::simulator::params::Params;
use crate::simulator::table::Window;
use crate::simulator::world::{Alarm, World};

const LINE_LIMIT: usize = 100;
const EXPIRY_MIN_SECONDS: i64 = 30 * 60;
const EXPIRY_MAX_SECONDS: i64 = 24 * 3600;

/// Parameters that Stripe has and that change nothing here. Those that would change the total
/// (discounts, shipping, taxes) are unknown instead: better refused than silently not applied.
const IGNORED: [&str; 24] = [
    "adaptive_pricing",
    "after_expiration",
    "allowed_payment_method_types",
    "billing_address_collection",
    "branding_settings",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "customer_creation",
    "excluded_payment_method_types",
    "integration_identifier",
    "invoice_creation",
    "name_collection",
    "origin_context",
    "payment_method_collection",
    "payment_method_configuration",
    "payment_method_options",
    "payment_method_types",
    "permissions",
    "phone_number_collection",
    "saved_payment_method_options",
    "shipping_address_collection",
    "submit_type",
    "wallet_options",
];

/// Makes a session.
pub fn create(world: &mut World, mut params: Params) -> Result<Value, Failure> {
    let now = world.clock.now();
    if params.required("mode")? != "payment" {
        return Err(Failure::parameter(
            "mode",
            "This simulator only supports mode `payment`.",
        ));
    }
    params.choice("ui_mode", &["hosted", "hosted_page"])?;
    if let Some(customer) = params.text("customer")? {
        return Err(Failure::no_such("customer", "customer", &customer));
    }
    params.ignore(&IGNORED);
    let success_url = params
        .url("success_url")?
        .ok_or_else(|| Failure::missing("success_url"))?;
    let cancel_url = params.url("cancel_url")?;
    let (currency, mut lines) = basket(&mut params)?;
    let amount_total = total(&lines, &currency)?;
    let expires_at = expiry(&mut params, now)?;
    let client_reference_id = params.short("client_reference_id", 200)?;
    let customer_email = email(&mut params, "customer_email")?;
    let metadata = params.metadata("metadata")?;
    let locale = params.short("locale", 10)?;
    let payment_data = payment_data(&mut params)?;
    params.finish()?;
    for line in &mut lines {
        line.id = world.ids.id("li_");
        line.price = world.ids.id("price_");
        line.product = world.ids.token("prod_", 14);
    }
    let session = Session {
        id: world.ids.token("cs_test_", 58),
        created: now,
        expires_at,
        currency,
        lines,
        amount_total,
        status: SessionStatus::Open,
        paid: false,
        success_url,
        cancel_url,
        client_reference_id,
        customer_email,
        paid_email: None,
        metadata,
        locale,
        payment_data,
        payment_intent: None,
    };
    world
        .alarms
        .insert((expires_at, Alarm::Session(session.id.clone())));
    // Stripe has no event for this; the journal needs the effect all the same.
    world.effect("checkout.session.created", &session.id, None);
    let answer = session.json(&world.base_url);
    world.sessions.put(session);
    Ok(answer)
}

fn basket(params: &mut Params) -> Result<(String, Vec<Line>), Failure> {
    let items = params.maps("line_items")?;
    if items.is_empty() {
        return Err(Failure::missing("line_items"));
    }
    if items.len() > LINE_LIMIT {
        let message = format!("A session can have at most {LINE_LIMIT} line items.");
        return Err(Failure::parameter("line_items", message));
    }
    let mut currency: Option<String> = None;
    let mut lines = Vec::with_capacity(items.len());
    for item in items {
        let name = item.name("price_data");
        let (line, its_currency) = line(item)?;
        let currency = currency.get_or_insert_with(|| its_currency.clone());
        if *currency != its_currency {
            let message = "All line items must have the same currency.";
            return Err(Failure::parameter(format!("{name}[currency]"), message));
        }
        lines.push(line);
    }
    let stated = params.text("currency")?;
    let currency = currency.unwrap_or_default();
    if stated.is_some_and(|stated| stated != currency) {
        let message = "The currency is not that of the line items.";
        return Err(Failure::parameter("currency", message));
    }
    Ok((currency, lines))
}

fn line(mut item: Params) -> Result<(Line, String), Failure> {
    if let Some(price) = item.text("price")? {
        return Err(Failure::no_such("price", &item.name("price"), &price));
    }
    let missing = Failure::missing(item.name("price_data"));
    let mut price = item.map("price_data")?.ok_or(missing)?;
    let currency = price.required("currency")?;
    if !money::is_supported(&currency) {
        let message =
            format!("Invalid currency: {currency}. Use a lower-case code that Stripe supports.");
        return Err(Failure::parameter(price.name("currency"), message));
    }
    let unit_amount = unit_amount(&mut price)?;
    if let Some(message) = money::fault_in(unit_amount, &currency) {
        return Err(Failure::parameter(price.name("unit_amount"), message));
    }
    if let Some(product) = price.text("product")? {
        return Err(Failure::no_such(
            "product",
            &price.name("product"),
            &product,
        ));
    }
    let missing = Failure::missing(price.name("product_data"));
    let mut product = price.map("product_data")?.ok_or(missing)?;
    let name = product.required("name")?;
    product.short("description", 40_000)?;
    product.texts("images")?;
    product.metadata("metadata")?;
    product.text("tax_code")?;
    product.finish()?;
    price.choice("tax_behavior", &["inclusive", "exclusive", "unspecified"])?;
    price.finish()?;
    let missing = Failure::missing(item.name("quantity"));
    let quantity = item.integer("quantity")?.ok_or(missing)?;
    if quantity < 1 {
        let message = "Invalid quantity: must be at least 1";
        return Err(Failure::parameter(item.name("quantity"), message));
    }
    let too_large = Failure::parameter(item.name("quantity"), "The amount is too large.");
    let amount = unit_amount
        .checked_mul(quantity)
        .ok_or(too_large.code("amount_too_large"))?;
    item.metadata("metadata")?;
    item.finish()?;
    let (id, price, product) = Default::default();
    Ok((
        Line {
            id,
            price,
            product,
            name,
            unit_amount,
            quantity,
            amount,
        },
        currency,
    ))
}

fn unit_amount(price: &mut Params) -> Result<i64, Failure> {
    let name = price.name("unit_amount");
    let whole = price.integer("unit_amount")?;
    let decimal = price.text("unit_amount_decimal")?;
    let amount = match (whole, decimal) {
        (Some(amount), None) => amount,
        (None, Some(text)) => {
            let zeros = |rest: &str| rest.bytes().all(|byte| byte == b'0');
            let digits = text
                .split_once('.')
                .map_or(Some(text.as_str()), |(whole, rest)| {
                    Some(whole).filter(|_| zeros(rest))
                });
            let message = "This simulator only takes whole numbers of minor units.";
            digits
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| Failure::parameter(price.name("unit_amount_decimal"), message))?
        }
        (None, None) => return Err(Failure::missing(name)),
        (Some(_), Some(_)) => {
            let message = "You may only specify one of unit_amount, unit_amount_decimal.";
            return Err(Failure::parameter(name, message));
        }
    };
    if amount < 0 {
        let message = "This value must be greater than or equal to 0.";
        return Err(Failure::parameter(name, message).code("parameter_invalid_integer"));
    }
    Ok(amount)
}

fn total(lines: &[Line], currency: &str) -> Result<i64, Failure> {
    let sum = lines
        .iter()
        .try_fold(0_i64, |sum, line| sum.checked_add(line.amount));
    let too_large = || {
        let most = money::display(money::AMOUNT_MAX, currency);
        let message =
            format!("The Checkout Session's total amount due must be no more than {most}.");
        Failure::parameter("line_items", message).code("amount_too_large")
    };
    let total = sum
        .filter(|total| *total <= money::AMOUNT_MAX)
        .ok_or_else(too_large)?;
    if total == 0 {
        let message =
            "The Checkout Session's total amount due must add up to at least the minimum charge.";
        return Err(Failure::parameter("line_items", message).code("amount_too_small"));
    }
    Ok(total)
}

fn expiry(params: &mut Params, now: i64) -> Result<i64, Failure> {
    let Some(at) = params.integer("expires_at")? else {
        return Ok(now + EXPIRY_MAX_SECONDS);
    };
    let bound = if at < now + EXPIRY_MIN_SECONDS {
        "at least 30 minutes"
    } else if at > now + EXPIRY_MAX_SECONDS {
        "less than 24 hours"
    } else {
        return Ok(at);
    };
    let message =
        format!("The `expires_at` timestamp must be {bound} from Checkout Session creation.");
    Err(Failure::parameter("expires_at", message))
}

fn email(params: &mut Params, name: &str) -> Result<Option<String>, Failure> {
    let email = params.short(name, 800)?;
    if email
        .as_ref()
        .is_some_and(|email| !email.contains('@') || email.contains(' '))
    {
        let message = format!("Invalid email address: {}", email.unwrap_or_default());
        return Err(Failure::parameter(params.name(name), message).code("email_invalid"));
    }
    Ok(email)
}

fn payment_data(params: &mut Params) -> Result<PaymentData, Failure> {
    let automatic = || "automatic_async".to_owned();
    let Some(mut data) = params.map("payment_intent_data")? else {
        return Ok(PaymentData {
            capture_method: automatic(),
            ..PaymentData::default()
        });
    };
    let methods = ["automatic", "automatic_async", "manual"];
    let read = PaymentData {
        capture_method: data
            .choice("capture_method", &methods)?
            .unwrap_or_else(automatic),
        metadata: data.metadata("metadata")?,
        description: data.short("description", 1000)?,
        receipt_email: email(&mut data, "receipt_email")?,
        statement_descriptor: data.short("statement_descriptor", 22)?,
        statement_descriptor_suffix: data.short("statement_descriptor_suffix", 22)?,
    };
    data.ignore(&["setup_future_usage", "shipping", "transfer_group"]);
    data.finish()?;
    Ok(read)
}

/// Lists sessions.
pub fn list(world: &World, mut params: Params) -> Result<Value, Failure> {
    let window = Window::take(&mut params)?;
    let intent = params
        .text("payment_intent")?
        .map(|id| vec![format!("payment_intent={id}")]);
    params.finish()?;
    let (rows, more) = world.sessions.page(&window, intent.as_deref())?;
    let data = rows
        .into_iter()
        .map(|row| row.json(&world.base_url))
        .collect();
    Ok(page_json("/v1/checkout/sessions", (data, more)))
}

/// Shows a session.
pub fn retrieve(world: &World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    Ok(world.sessions.find(id, "session")?.json(&world.base_url))
}

/// Lists a session's lines.
pub fn lines(world: &World, id: &str, mut params: Params) -> Result<Value, Failure> {
    let limit = params.integer("limit")?.unwrap_or(10).clamp(1, 100);
    let starting_after = params.text("starting_after")?;
    params.finish()?;
    let session = world.sessions.find(id, "session")?;
    let after = match starting_after {
        None => 0,
        Some(id) => {
            let at = session.lines.iter().position(|line| line.id == id);
            at.ok_or_else(|| Failure::no_such("line item", "starting_after", &id))? + 1
        }
    };
    Ok(session.lines_json(usize::try_from(limit).unwrap_or(10), after))
}

/// Expires a session on the merchant's request.
pub fn expire(world: &mut World, id: &str, params: Params) -> Result<Value, Failure> {
    params.finish()?;
    let status = world.sessions.find(id, "session")?.status;
    if pay::open_session(world, id).is_err() {
        let word = if status == SessionStatus::Complete {
            "complete"
        } else {
            "expired"
        };
        return Err(Failure::state(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session \
             has a status of \"{word}\"."
        )));
    }
    time::expire(world, id);
    retrieve(world, id, Params::new(vec![]))
}
