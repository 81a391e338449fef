//! An order's rows, made before any transaction begins: each caller makes its own, so that sets only send them.

use entity::{event, idempotency_key, line_item, order};
use sea_orm::Value;

use super::super::bulk;
use super::super::events::{NewEvent, rows as event_rows, without_people};
use super::super::idempotency::{StoredAnswer, key_row};
use super::super::orders;
use super::super::rows::to_json;
use super::super::{Store, StoreError};
use super::PlaceOrder;
use crate::domain::event::EventType;
use crate::domain::ids::{Id as _, LineItemId, ShopId};
use crate::domain::money::Money;
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus, PlacedOrder};
use crate::domain::pricing::Quote;
use crate::domain::settlement::{Terms, fold};

/// What a set inserts for one order.
pub(in crate::store) struct Draft {
    pub shop: ShopId,
    /// The order's id.
    pub id: String,
    /// The id of the row of its idempotency key.
    pub key_id: String,
    /// What no other order may have at the same time: its key and its reference.
    pub claims: Vec<String>,
    /// Which catalogue its lines were priced from; none when they bring their own prices.
    pub catalogue: Option<i64>,
    /// The row of its key; like the others, the values of the table's columns.
    pub key: Vec<Value>,
    /// Its own row.
    pub order: Vec<Value>,
    /// The rows of its lines.
    pub lines: Vec<Vec<Value>>,
    /// The rows of its first events.
    pub events: Vec<Vec<Value>>,
}

/// Makes an order's rows, and the answer to give once they are inserted.
pub(super) fn draft(
    store: &Store,
    command: &PlaceOrder,
    quote: &Quote,
    catalogue: Option<i64>,
    number: i64,
) -> Result<(Draft, PlacedOrder), StoreError> {
    let state = fold(&first_terms(command, quote.total), &[]);
    let free = state.counts_as_paid;
    let row = order_row(command, quote, number, state.payment_status, free);
    let lines = line_rows(store, command, quote);
    let order = orders::public(&row, &lines, command.mode)?;
    let events = first_events(
        store,
        command,
        &row,
        to_json(&without_people(order.clone())),
    );
    let placed = PlacedOrder {
        order,
        client_token: None,
    };
    let answer = StoredAnswer {
        status: 201,
        body: placed.to_json(),
    };
    let key = key_row(
        &store.clock,
        command.shop,
        &command.key,
        &row.id,
        Some(&answer),
    );
    let draft = Draft {
        shop: command.shop,
        id: row.id.clone(),
        key_id: key.id.clone(),
        claims: claims(command),
        catalogue,
        key: bulk::values::<idempotency_key::Entity>(key),
        order: bulk::values::<order::Entity>(row),
        lines: lines
            .into_iter()
            .map(bulk::values::<line_item::Entity>)
            .collect(),
        events: events
            .into_iter()
            .map(bulk::values::<event::Entity>)
            .collect(),
    };
    Ok((draft, placed))
}

fn claims(command: &PlaceOrder) -> Vec<String> {
    let key = &command.key;
    let mut claims = vec![format!(
        "key {} {} {} {}",
        command.shop, key.kind, key.route, key.key
    )];
    if let Some(reference) = &command.reference {
        claims.push(format!("reference {} {reference}", command.shop));
    }
    claims
}

fn first_events(
    store: &Store,
    command: &PlaceOrder,
    row: &order::Model,
    data: String,
) -> Vec<event::Model> {
    let mut events = vec![NewEvent {
        kind: EventType::OrderCreated,
        sequence: 1,
        data,
    }];
    if row.paid_at.is_some() {
        events.push(NewEvent {
            kind: EventType::OrderPaid,
            sequence: 2,
            data: events[0].data.clone(),
        });
    }
    event_rows(
        &store.clock,
        &row.shop_id,
        &row.id,
        "request",
        &command.trace,
        events,
    )
}

fn first_terms(command: &PlaceOrder, total: Money) -> Terms {
    Terms {
        order: command.id,
        total,
        fulfilment: FulfilmentStatus::Unfulfilled,
        sessions: Vec::new(),
        payments: Vec::new(),
        refunds: Vec::new(),
        suspense_refunds: Vec::new(),
        flags: Vec::new(),
    }
}

fn order_row(
    command: &PlaceOrder,
    quote: &Quote,
    number: i64,
    payment_status: PaymentStatus,
    free: bool,
) -> order::Model {
    // Its id carries the same time, by which lists are cut.
    let now = command.id.made_at().ms();
    order::Model {
        id: command.id.to_string(),
        shop_id: command.shop.to_string(),
        number,
        reference: command.reference.clone(),
        status: OrderStatus::Open.to_string(),
        payment_status: payment_status.to_string(),
        fulfilment_status: FulfilmentStatus::Unfulfilled.to_string(),
        review: None,
        currency: command.currency.code().to_owned(),
        tax_included: quote.tax_included,
        subtotal_minor: quote.subtotal.minor(),
        discount_minor: quote.discount.minor(),
        shipping_minor: quote.shipping.minor(),
        tax_minor: quote.tax.minor(),
        total_minor: quote.total.minor(),
        authorized_minor: 0,
        paid_minor: 0,
        refunded_minor: 0,
        disputed_minor: 0,
        customer_email: command.customer.email.clone(),
        customer_name: command.customer.name.clone(),
        shipping_address: command.shipping_address.as_ref().map(to_json),
        billing_address: command.billing_address.as_ref().map(to_json),
        metadata: to_json(&command.metadata),
        token_key: command.token_key,
        event_seq: if free { 2 } else { 1 },
        paid_at: free.then_some(now),
        cancel_requested_at: None,
        close_next_at: None,
        expires_at: command.expires_at.ms(),
        request_id: command.trace.request_id.clone(),
        actor: command.trace.actor.clone(),
        created_at: now,
        updated_at: now,
    }
}

fn line_rows(store: &Store, command: &PlaceOrder, quote: &Quote) -> Vec<line_item::Model> {
    let now = command.id.made_at().ms();
    quote
        .lines
        .iter()
        .zip(0_i64..)
        .map(|(line, position)| line_item::Model {
            id: store.clock.id::<LineItemId>().to_string(),
            shop_id: command.shop.to_string(),
            order_id: command.id.to_string(),
            position,
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: i64::from(line.quantity),
            unit_price_minor: line.unit_price.minor(),
            subtotal_minor: line.subtotal.minor(),
            discount_minor: line.discount.minor(),
            tax_minor: line.tax.minor(),
            total_minor: line.total.minor(),
            refunded_quantity: 0,
            created_at: now,
        })
        .collect()
}
