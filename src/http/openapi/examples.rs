//! An example of every answer that is no problem: one shop, one order, told through.

use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::{OpenApi, RefOr};

use super::refusals::operations;

/// Adds the examples.
pub struct Examples;

impl Modify for Examples {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                for (status, answer) in &mut operation.responses.responses {
                    let RefOr::T(answer) = answer else { continue };
                    for content in answer.content.values_mut() {
                        if let RefOr::T(content) = content
                            && let Some(example) = example(&id, status)
                        {
                            content.example = Some(example);
                        }
                    }
                }
            }
        }
    }
}

/// What an operation answers with a status, where that is no problem.
fn example(operation: &str, status: &str) -> Option<Value> {
    let example = match (operation, status) {
        ("create_order", "201") => {
            let mut placed = order();
            placed["client_token"] = "ot_Zk9xv3mF0qT1s5hR7uWc2yLb8dNa4eGi".into();
            placed
        }
        ("get_order", "200") => order(),
        ("list_orders", "200") => list("/v1/orders", order()),
        ("create_checkout_session", "202") => session("creating"),
        ("create_checkout_session", "200" | "201") | ("get_checkout_session", "200") => {
            session("open")
        }
        ("expire_checkout_session", "200") => session("expired"),
        ("expire_checkout_session", "202") => session("open"),
        ("cancel_order", "200") => {
            let mut cancelled = order();
            cancelled["status"] = "cancelled".into();
            cancelled
        }
        ("cancel_order", "202") => order(),
        ("capture_payment", "200") | ("get_payment", "200") => payment("captured", "29.50"),
        ("capture_payment" | "void_payment", "202") => payment("authorized", "0.00"),
        ("void_payment", "200") => payment("voided", "0.00"),
        ("list_payments", "200") => list("/v1/payments", payment("captured", "29.50")),
        ("create_refund", "201") | ("get_refund", "200") => refund("succeeded"),
        ("create_refund", "202") => refund("pending"),
        ("list_refunds", "200") => list("/v1/refunds", refund("succeeded")),
        ("get_order_timeline", "200") => list(
            "/v1/orders/ord_01kq8rm5ahf2aaemq4p7v9w0xc/timeline",
            json!({
                "id": "fact_01kq8rm5ahf2aaemq4p7v9w0xj",
                "object": "fact",
                "type": "captured",
                "at": "2026-01-31T12:01:00.000Z",
                "cause": "pev_01kq8rm5ahf2aaemq4p7v9w0xk",
                "details": {"amount": "29.50", "currency": "EUR"},
            }),
        ),
        ("list_events", "200") => list("/v1/events", event()),
        ("get_event", "200") => event(),
        ("get_trial_balance", "200") => json!({
            "object": "trial_balance",
            "balanced": true,
            "currencies": [{"currency": "EUR", "debit": "29.50", "credit": "29.50", "accounts": [
                {"account": "provider_clearing", "debit": "29.50", "credit": "0.00"},
                {"account": "sales", "debit": "0.00", "credit": "29.50"},
            ]}],
        }),
        ("list_ledger_transactions", "200") => list("/v1/ledger/transactions", posted()),
        ("get_ledger_transaction", "200") => posted(),
        ("put_product", "200" | "201") | ("get_product", "200") => product(),
        ("list_products", "200") => list("/v1/products", product()),
        ("health_live" | "health_ready", "200") => json!({"status": "ok"}),
        ("openapi", "200") => {
            json!({"openapi": "3.1.0", "info": {"title": "Till", "version": "0.1.0"}, "paths": {}})
        }
        ("metrics", "200") => "# TYPE till_http_requests_total counter\n".into(),
        ("docs", "200") => "<!doctype html>…".into(),
        _ => return None,
    };
    Some(example)
}

fn list(url: &str, entry: Value) -> Value {
    json!({"object": "list", "data": [entry], "has_more": false, "url": url})
}

fn order() -> Value {
    json!({
        "id": "ord_01kq8rm5ahf2aaemq4p7v9w0xc",
        "object": "order",
        "number": "1001",
        "reference": "web-1001",
        "status": "open",
        "payment_status": "unpaid",
        "fulfilment_status": "unfulfilled",
        "review": null,
        "currency": "EUR",
        "tax_included": false,
        "subtotal": "29.50",
        "discount_total": "0.00",
        "shipping_total": "0.00",
        "tax_total": "0.00",
        "total": "29.50",
        "amount_authorized": "0.00",
        "amount_paid": "0.00",
        "amount_refunded": "0.00",
        "amount_disputed": "0.00",
        "customer": {"email": "ada@example.com", "name": "Ada"},
        "line_items": [
            line("li_01kq8rm5ahf2aaemq4p7v9w0xd", "mug".into(), ("Mug", 2), ("12.50", "25.00")),
            line("li_01kq8rm5ahf2aaemq4p7v9w0xe", Value::Null, ("Engraving", 1), ("4.50", "4.50")),
        ],
        "shipping_address": null,
        "billing_address": null,
        "metadata": {},
        "livemode": false,
        "created_at": "2026-01-31T12:00:00.000Z",
        "expires_at": "2026-02-01T12:00:00.000Z",
    })
}

fn line(
    id: &str,
    sku: Value,
    (name, quantity): (&str, u32),
    (price, total): (&str, &str),
) -> Value {
    json!({
        "id": id,
        "object": "line_item",
        "sku": sku,
        "name": name,
        "quantity": quantity,
        "unit_price": price,
        "subtotal": total,
        "discount": "0.00",
        "tax": "0.00",
        "total": total,
        "created_at": "2026-01-31T12:00:00.000Z",
    })
}

fn session(status: &str) -> Value {
    let ready = status != "creating";
    let url = ready.then_some("https://checkout.stripe.com/c/pay/cs_test_a1b2c3");
    json!({
        "id": "cs_01kq8rm5ahf2aaemq4p7v9w0xf",
        "object": "checkout_session",
        "order_id": "ord_01kq8rm5ahf2aaemq4p7v9w0xc",
        "status": status,
        "url": url,
        "amount": "29.50",
        "currency": "EUR",
        "capture": "automatic",
        "provider": "stripe",
        "provider_session_id": ready.then_some("cs_test_a1b2c3"),
        "expires_at": "2026-02-01T11:59:00.000Z",
        "created_at": "2026-01-31T12:00:05.000Z",
    })
}

fn event() -> Value {
    let mut paid = order();
    paid["payment_status"] = "paid".into();
    paid["amount_paid"] = "29.50".into();
    json!({
        "id": "evt_01kq8rm5ahf2aaemq4p7v9w0xn",
        "object": "event",
        "type": "order.paid",
        "created_at": "2026-01-31T12:01:00.000Z",
        "timestamp": "2026-01-31T12:01:00.000Z",
        "sequence": 4,
        "order_id": "ord_01kq8rm5ahf2aaemq4p7v9w0xc",
        "livemode": false,
        "data": {"object": paid},
    })
}

fn posted() -> Value {
    let entry = |id: &str, account: &str, debit: &str, credit: &str| {
        json!({
            "id": id,
            "object": "ledger_entry",
            "account": account,
            "debit": debit,
            "credit": credit,
            "currency": "EUR",
            "payment_id": "pay_01kq8rm5ahf2aaemq4p7v9w0xg",
            "created_at": "2026-01-31T12:01:00.000Z",
        })
    };
    json!({
        "id": "ltx_01kq8rm5ahf2aaemq4p7v9w0xh",
        "object": "ledger_transaction",
        "order_id": "ord_01kq8rm5ahf2aaemq4p7v9w0xc",
        "fact": {
            "id": "fact_01kq8rm5ahf2aaemq4p7v9w0xj",
            "kind": "captured",
            "source": "webhook",
            "source_id": "pev_01kq8rm5ahf2aaemq4p7v9w0xk",
        },
        "entries": [
            entry("lent_01kq8rm5ahf2aaemq4p7v9w0xm", "provider_clearing", "29.50", "0.00"),
            entry("lent_01kq8rm5ahf2aaemq4p7v9w0xn", "sales", "0.00", "29.50"),
        ],
        "created_at": "2026-01-31T12:01:00.000Z",
    })
}

fn payment(status: &str, captured: &str) -> Value {
    json!({
        "id": "pay_01kq8rm5ahf2aaemq4p7v9w0xg",
        "object": "payment",
        "order_id": "ord_01kq8rm5ahf2aaemq4p7v9w0xc",
        "checkout_session_id": "cs_01kq8rm5ahf2aaemq4p7v9w0xf",
        "provider": "stripe",
        "provider_payment_id": "pi_3Q1a2b3c",
        "status": status,
        "amount": "29.50",
        "amount_captured": captured,
        "amount_refunded": "0.00",
        "currency": "EUR",
        "failure_code": null,
        "created_at": "2026-01-31T12:01:00.000Z",
    })
}

fn refund(status: &str) -> Value {
    let known = status != "pending";
    json!({
        "id": "re_01kq8rm5ahf2aaemq4p7v9w0xh",
        "object": "refund",
        "order_id": "ord_01kq8rm5ahf2aaemq4p7v9w0xc",
        "payment_id": "pay_01kq8rm5ahf2aaemq4p7v9w0xg",
        "amount": "12.50",
        "currency": "EUR",
        "reason": "requested_by_customer",
        "status": status,
        "provider_refund_id": known.then_some("re_3Q1a2b3c"),
        "failure_reason": null,
        "line_items": [{"line_item": "li_01kq8rm5ahf2aaemq4p7v9w0xd", "quantity": 1, "amount": "12.50"}],
        "created_at": "2026-01-31T13:00:00.000Z",
    })
}

fn product() -> Value {
    json!({
        "id": "prod_01kq8rm5ahf2aaemq4p7v9w0xb",
        "object": "product",
        "sku": "mug",
        "name": "Mug",
        "description": "Holds 300 ml.",
        "prices": {"EUR": "12.50", "JPY": "1500"},
        "tax_category": "standard",
        "active": true,
        "stock": {"on_hand": 10},
        "created_at": "2026-01-31T11:00:00.000Z",
    })
}
