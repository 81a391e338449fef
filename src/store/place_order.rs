//! Placing an order: a command as data. One transaction prices the lines and inserts the key, the order, its
//! lines and its first event.

use std::sync::Arc;

use entity::{line_item, order};
use sea_orm::EntityTrait;

use super::events::{NewEvent, insert as insert_events, order_data};
use super::failpoint::Step;
use super::idempotency::{KeyClaim, KnownKey, StoredAnswer};
use super::rows::to_json;
use super::{Constraint, Store, StoreError, Tx, numbers, orders};
use crate::domain::access::{Mode, Trace};
use crate::domain::currency::Currency;
use crate::domain::event::EventType;
use crate::domain::ids::{LineItemId, OrderId, ShopId};
use crate::domain::money::Money;
use crate::domain::order::{
    Address, Customer, FulfilmentStatus, Metadata, OrderStatus, PaymentStatus, PlacedOrder,
};
use crate::domain::pricing::{PricingError, Quote, WantedLine, quote};
use crate::domain::settlement::{Terms, fold};
use crate::domain::time::Timestamp;

/// Says whether the provider can charge an amount exactly; the text says why not.
pub type Chargeable = Arc<dyn Fn(Money) -> Result<(), String> + Send + Sync>;

/// An order to be placed.
#[derive(Clone)]
pub struct PlaceOrder {
    /// Its id.
    pub id: OrderId,
    /// Its shop.
    pub shop: ShopId,
    /// The shop's mode.
    pub mode: Mode,
    /// Its currency.
    pub currency: Currency,
    /// The shop's own reference.
    pub reference: Option<String>,
    /// Who orders.
    pub customer: Customer,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// Who is billed.
    pub billing_address: Option<Address>,
    /// The caller's own data.
    pub metadata: Metadata,
    /// What is ordered.
    pub lines: Vec<WantedLine>,
    /// Whether the provider can charge the total.
    pub chargeable: Chargeable,
    /// The caller's idempotency key.
    pub key: KeyClaim,
    /// The number of the secret key its client token is derived with.
    pub token_key: i64,
    /// When it expires unpaid.
    pub expires_at: Timestamp,
    /// Who caused it.
    pub trace: Trace,
}

/// What became of it.
#[derive(Debug)]
pub enum Placed {
    /// It was placed; the answer to give and to keep (without the token).
    New(Box<PlacedOrder>),
    /// The key was used before.
    Known(KnownKey),
    /// Another order has this reference.
    ReferenceTaken(OrderId),
    /// It cannot be priced.
    Refused(PricingError),
    /// The provider cannot charge its total; why.
    NotChargeable(String),
}

/// Why the transaction was given up without a trace.
#[derive(Debug)]
enum GiveUp {
    KeyKnown,
    Refused(PricingError),
    NotChargeable(String),
    Store(StoreError),
}

impl From<StoreError> for GiveUp {
    fn from(error: StoreError) -> Self {
        GiveUp::Store(error)
    }
}

impl super::Failure for GiveUp {
    fn as_store(&self) -> Option<&StoreError> {
        match self {
            GiveUp::Store(error) => Some(error),
            GiveUp::KeyKnown | GiveUp::Refused(_) | GiveUp::NotChargeable(_) => None,
        }
    }
}

impl Store {
    /// Places an order, or says why not; a refusal leaves nothing behind.
    ///
    /// # Errors
    /// The database's.
    pub async fn place_order(&self, command: &PlaceOrder) -> Result<Placed, StoreError> {
        Step::Number.before();
        let number = self.reserve_number(command.shop).await?;
        Step::Number.after();
        let outcome = self
            .write_at(Step::Place, |tx| async move {
                place(&tx, command, number).await
            })
            .await;
        let known = async || self.shop(command.shop).known_key(&command.key).await;
        match outcome {
            Ok(placed) => Ok(Placed::New(Box::new(placed))),
            Err(GiveUp::KeyKnown) => known().await?.map(Placed::Known).ok_or_else(|| {
                StoreError::Corrupt("an idempotency key vanished while it was used".to_owned())
            }),
            // A repeated request gets its first answer whatever has happened to the catalogue since.
            Err(GiveUp::Refused(reason)) => Ok(match known().await? {
                Some(key) => Placed::Known(key),
                None => Placed::Refused(reason),
            }),
            Err(GiveUp::NotChargeable(reason)) => Ok(match known().await? {
                Some(key) => Placed::Known(key),
                None => Placed::NotChargeable(reason),
            }),
            Err(GiveUp::Store(StoreError::Conflict(Constraint::OrderReference))) => {
                let reference = command.reference.as_deref().unwrap_or_default();
                let taken = self
                    .shop(command.shop)
                    .order_by_reference(reference)
                    .await?;
                taken.map(Placed::ReferenceTaken).ok_or_else(|| {
                    StoreError::Corrupt("a reference is taken by no order".to_owned())
                })
            }
            Err(GiveUp::Store(error)) => Err(error),
        }
    }
}

async fn place(tx: &Tx, command: &PlaceOrder, number: Option<i64>) -> Result<PlacedOrder, GiveUp> {
    let shop = tx.shop(command.shop);
    let prices = shop.prices(&skus(&command.lines), command.currency).await?;
    let quote = quote(command.currency, &command.lines, &prices).map_err(GiveUp::Refused)?;
    if !quote.total.is_zero() {
        (command.chargeable)(quote.total).map_err(GiveUp::NotChargeable)?;
    }
    let number = match number {
        Some(number) => number,
        None => numbers::advance(tx, command.shop, 1).await?,
    };
    let state = fold(&first_terms(command, quote.total), &[]);
    let free = state.counts_as_paid;
    let row = order_row(tx, command, &quote, number, state.payment_status, free);
    let lines = line_rows(tx, command, &quote);
    let placed = PlacedOrder {
        order: orders::public(&row, &lines, command.mode)?,
        client_token: None,
    };
    let answer = StoredAnswer {
        status: 201,
        body: to_json(&placed),
    };
    if !shop.claim_key(&command.key, &row.id, Some(&answer)).await? {
        return Err(GiveUp::KeyKnown);
    }
    let data = order_data(&row, &lines, command.mode)?;
    let (shop_id, order_id) = (row.shop_id.clone(), row.id.clone());
    order::Entity::insert(order::ActiveModel::from(row))
        .exec_without_returning(tx.conn())
        .await
        .map_err(StoreError::from)?;
    line_item::Entity::insert_many(lines.into_iter().map(line_item::ActiveModel::from))
        .exec_without_returning(tx.conn())
        .await
        .map_err(StoreError::from)?;
    let mut events = vec![NewEvent {
        kind: EventType::OrderCreated,
        sequence: 1,
        data: data.clone(),
    }];
    if free {
        events.push(NewEvent {
            kind: EventType::OrderPaid,
            sequence: 2,
            data,
        });
    }
    insert_events(tx, &shop_id, &order_id, "request", &command.trace, events).await?;
    Ok(placed)
}

fn skus(lines: &[WantedLine]) -> Vec<String> {
    let mut skus: Vec<String> = lines
        .iter()
        .filter_map(|line| match line {
            WantedLine::Sku { sku, .. } => Some(sku.clone()),
            WantedLine::Inline { .. } => None,
        })
        .collect();
    skus.sort_unstable();
    skus.dedup();
    skus
}

fn first_terms(command: &PlaceOrder, total: Money) -> Terms {
    Terms {
        order: command.id,
        total,
        fulfilment: FulfilmentStatus::Unfulfilled,
        sessions: Vec::new(),
        payments: Vec::new(),
        refunds: Vec::new(),
        policy_refunds: Vec::new(),
        flags: Vec::new(),
    }
}

fn order_row(
    tx: &Tx,
    command: &PlaceOrder,
    quote: &Quote,
    number: i64,
    payment_status: PaymentStatus,
    free: bool,
) -> order::Model {
    let now = tx.clock.now().ms();
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

fn line_rows(tx: &Tx, command: &PlaceOrder, quote: &Quote) -> Vec<line_item::Model> {
    let now = tx.clock.now().ms();
    quote
        .lines
        .iter()
        .zip(0_i64..)
        .map(|(line, position)| line_item::Model {
            id: tx.clock.id::<LineItemId>().to_string(),
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
