//! Placing orders: a command as data. One transaction prices the lines and inserts the keys, the orders, their
//! lines and their first events, for one order or for all that wait: the statements are the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use entity::{event, idempotency_key, line_item, order};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::batch::Member;
use super::catalogue::{self, Catalogue};
use super::events::{NewEvent, order_data, rows as event_rows};
use super::failpoint::Step;
use super::idempotency::{KeyClaim, KnownKey, StoredAnswer, key_row};
use super::rows::to_json;
use super::{Constraint, Engine, Store, StoreError, Tx, bulk, numbers, orders};
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

/// What a set's transaction says of one of its members.
#[derive(Debug)]
pub(super) enum Verdict {
    New(Box<PlacedOrder>),
    KeyKnown,
    ReferenceTaken,
    Refused(PricingError),
    NotChargeable(String),
}

/// Why a transaction was given up without a trace.
#[derive(Debug)]
enum GiveUp {
    /// Nothing came of the only member.
    Alone(Verdict),
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
            GiveUp::Alone(_) => None,
        }
    }
}

impl Store {
    /// Places an order, together with those that others place at the moment, or says why not; a refusal leaves
    /// nothing behind.
    ///
    /// # Errors
    /// The database's; [`StoreError::Full`] when too many orders wait.
    pub async fn place_order(&self, command: PlaceOrder) -> Result<Placed, StoreError> {
        let (shop, key, reference) = (
            self.shop(command.shop),
            command.key.clone(),
            command.reference.clone(),
        );
        let verdict = self.orders.submit(self, command).await?;
        Ok(match verdict {
            Verdict::New(placed) => Placed::New(placed),
            Verdict::KeyKnown => match shop.known_key(&key).await? {
                Some(known) => Placed::Known(known),
                None => {
                    let vanished = "an idempotency key vanished while it was used";
                    return Err(StoreError::Corrupt(vanished.to_owned()));
                }
            },
            // A repeated request gets its first answer whatever has happened to the catalogue since.
            Verdict::Refused(reason) => match shop.known_key(&key).await? {
                Some(known) => Placed::Known(known),
                None => Placed::Refused(reason),
            },
            Verdict::NotChargeable(reason) => match shop.known_key(&key).await? {
                Some(known) => Placed::Known(known),
                None => Placed::NotChargeable(reason),
            },
            Verdict::ReferenceTaken => {
                let taken = reference.as_deref().unwrap_or_default();
                let taken = shop.order_by_reference(taken).await?;
                Placed::ReferenceTaken(taken.ok_or_else(|| {
                    StoreError::Corrupt("a reference is taken by no order".to_owned())
                })?)
            }
        })
    }
}

impl Member for PlaceOrder {
    type Outcome = Verdict;

    fn claims(&self) -> Vec<String> {
        let key = &self.key;
        let mut claims = vec![format!(
            "key {} {} {} {}",
            self.shop, key.kind, key.route, key.key
        )];
        if let Some(reference) = &self.reference {
            claims.push(format!("reference {} {reference}", self.shop));
        }
        claims
    }

    async fn run(store: &Store, set: &[Arc<Self>]) -> Result<Vec<Verdict>, StoreError> {
        let reserved = reserve_numbers(store, set).await?;
        let reserved = &reserved;
        let outcome = store
            .write_at(Step::Place, |tx| async move {
                place(&tx, set, reserved.clone()).await
            })
            .await;
        match outcome {
            Ok(verdicts) => Ok(verdicts),
            Err(GiveUp::Alone(verdict)) => Ok(vec![verdict]),
            Err(GiveUp::Store(error)) => Err(error),
        }
    }
}

/// Numbers for a set, by shop, where they are taken outside its transaction.
type Numbers = BTreeMap<ShopId, VecDeque<i64>>;

async fn reserve_numbers(store: &Store, set: &[Arc<PlaceOrder>]) -> Result<Numbers, StoreError> {
    let mut reserved = Numbers::new();
    Step::Number.before();
    if store.engine() == Engine::Postgres {
        for (shop, count) in by_shop(set.iter().map(|one| one.shop)) {
            reserved.insert(shop, store.reserve_numbers(shop, count).await?);
        }
    }
    Step::Number.after();
    Ok(reserved)
}

fn by_shop(shops: impl Iterator<Item = ShopId>) -> BTreeMap<ShopId, i64> {
    let mut counts = BTreeMap::new();
    for shop in shops {
        let count: &mut i64 = counts.entry(shop).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// One member on its way through the transaction.
struct Draft<'a> {
    /// Its place in the set.
    at: usize,
    command: &'a PlaceOrder,
    row: order::Model,
    lines: Vec<line_item::Model>,
    placed: PlacedOrder,
    key: idempotency_key::Model,
}

async fn place(
    tx: &Tx,
    set: &[Arc<PlaceOrder>],
    reserved: Numbers,
) -> Result<Vec<Verdict>, GiveUp> {
    let mut verdicts: Vec<Option<Verdict>> = Vec::with_capacity(set.len());
    let mut priced: Vec<(usize, &PlaceOrder, Quote)> = Vec::with_capacity(set.len());
    let catalogue = catalogue::prices(tx, &wanted_prices(set)).await?;
    for (at, command) in set.iter().enumerate() {
        let refusal = match price(command, &catalogue) {
            Ok(quote) => {
                priced.push((at, command, quote));
                None
            }
            Err(refusal) => Some(refusal),
        };
        verdicts.push(refusal);
    }
    // Two processes that take the same keys and references in one order wait for each other instead of colliding.
    priced.sort_by(|(_, a, _), (_, b, _)| {
        (a.shop, &a.reference, &a.key.key).cmp(&(b.shop, &b.reference, &b.key.key))
    });
    let mut numbers = numbers_for(tx, &priced, reserved).await?;
    let mut drafts = Vec::with_capacity(priced.len());
    for (at, command, quote) in priced {
        let number = numbers.get_mut(&command.shop).and_then(VecDeque::pop_front);
        let number = number.ok_or_else(|| StoreError::Corrupt("too few numbers".to_owned()))?;
        drafts.push(draft(tx, at, command, &quote, number)?);
    }
    claim_keys(tx, &mut drafts, &mut verdicts).await?;
    insert_orders(tx, &mut drafts, &mut verdicts).await?;
    let lines: Vec<_> = drafts.iter().flat_map(|one| one.lines.clone()).collect();
    bulk::insert::<line_item::Entity>(tx, &lines).await?;
    let mut events = Vec::with_capacity(drafts.len());
    for one in &drafts {
        events.extend(first_events(tx, one)?);
    }
    bulk::insert::<event::Entity>(tx, &events).await?;
    for one in drafts {
        if let Some(verdict) = verdicts.get_mut(one.at) {
            *verdict = Some(Verdict::New(Box::new(one.placed)));
        }
    }
    let verdicts = verdicts.into_iter().map(|verdict| {
        verdict.ok_or_else(|| StoreError::Corrupt("a member without a verdict".to_owned()))
    });
    let mut verdicts: Vec<Verdict> = verdicts.collect::<Result<_, _>>()?;
    match verdicts.as_slice() {
        // What it took, such as its number, is given back.
        [
            Verdict::KeyKnown
            | Verdict::ReferenceTaken
            | Verdict::Refused(_)
            | Verdict::NotChargeable(_),
        ] => Err(verdicts.pop().map_or_else(
            || StoreError::Corrupt("a set of nobody".to_owned()).into(),
            GiveUp::Alone,
        )),
        _ => Ok(verdicts),
    }
}

/// What must be looked up in the catalogue for a set.
fn wanted_prices(set: &[Arc<PlaceOrder>]) -> BTreeSet<(ShopId, Currency, &str)> {
    let skus = set.iter().flat_map(|command| {
        command.lines.iter().filter_map(|line| match line {
            WantedLine::Sku { sku, .. } => Some((command.shop, command.currency, sku.as_str())),
            WantedLine::Inline { .. } => None,
        })
    });
    skus.collect()
}

fn price(command: &PlaceOrder, catalogue: &Catalogue) -> Result<Quote, Verdict> {
    let prices = catalogue.of(command.shop, command.currency);
    let quote = quote(command.currency, &command.lines, prices).map_err(Verdict::Refused)?;
    if !quote.total.is_zero() {
        (command.chargeable)(quote.total).map_err(Verdict::NotChargeable)?;
    }
    Ok(quote)
}

async fn numbers_for(
    tx: &Tx,
    priced: &[(usize, &PlaceOrder, Quote)],
    mut reserved: Numbers,
) -> Result<Numbers, StoreError> {
    if tx.engine == Engine::Sqlite {
        for (shop, count) in by_shop(priced.iter().map(|(_, command, _)| command.shop)) {
            let first = numbers::advance(tx, shop, count).await?;
            let numbers = (first..first.saturating_add(count)).collect();
            reserved.insert(shop, numbers);
        }
    }
    Ok(reserved)
}

fn draft<'a>(
    tx: &Tx,
    at: usize,
    command: &'a PlaceOrder,
    quote: &Quote,
    number: i64,
) -> Result<Draft<'a>, StoreError> {
    let state = fold(&first_terms(command, quote.total), &[]);
    let free = state.counts_as_paid;
    let row = order_row(tx, command, quote, number, state.payment_status, free);
    let lines = line_rows(tx, command, quote);
    let placed = PlacedOrder {
        order: orders::public(&row, &lines, command.mode)?,
        client_token: None,
    };
    let answer = StoredAnswer {
        status: 201,
        body: to_json(&placed),
    };
    let key = key_row(tx, command.shop, &command.key, &row.id, Some(&answer));
    Ok(Draft {
        at,
        command,
        row,
        lines,
        placed,
        key,
    })
}

/// Takes the members' keys; those whose key was used before leave the set.
async fn claim_keys(
    tx: &Tx,
    drafts: &mut Vec<Draft<'_>>,
    verdicts: &mut [Option<Verdict>],
) -> Result<(), StoreError> {
    let keys: Vec<_> = drafts.iter().map(|one| one.key.clone()).collect();
    let id = idempotency_key::Column::Id;
    let claimed = bulk::insert_new::<idempotency_key::Entity>(tx, &keys, id).await?;
    keep(
        drafts,
        verdicts,
        &claimed,
        |one| &one.key.id,
        || Verdict::KeyKnown,
    );
    Ok(())
}

/// Inserts the orders; those whose reference another order has leave the set and give their keys back.
async fn insert_orders(
    tx: &Tx,
    drafts: &mut Vec<Draft<'_>>,
    verdicts: &mut [Option<Verdict>],
) -> Result<(), StoreError> {
    let rows: Vec<_> = drafts.iter().map(|one| one.row.clone()).collect();
    if rows.iter().all(|row| row.reference.is_none()) {
        return bulk::insert::<order::Entity>(tx, &rows).await;
    }
    let inserted = bulk::insert_new::<order::Entity>(tx, &rows, order::Column::Id).await?;
    let refused = drafts.iter().filter(|one| !inserted.contains(&one.row.id));
    let (keys, named): (Vec<String>, Vec<bool>) = refused
        .map(|one| (one.key.id.clone(), one.row.reference.is_some()))
        .unzip();
    if named.contains(&false) {
        return Err(StoreError::Conflict(Constraint::Other));
    }
    if !keys.is_empty() {
        idempotency_key::Entity::delete_many()
            .filter(idempotency_key::Column::Id.is_in(keys))
            .exec(tx.conn())
            .await?;
    }
    keep(
        drafts,
        verdicts,
        &inserted,
        |one| &one.row.id,
        || Verdict::ReferenceTaken,
    );
    Ok(())
}

/// Keeps the drafts whose id is among those named; the others get a verdict.
fn keep(
    drafts: &mut Vec<Draft<'_>>,
    verdicts: &mut [Option<Verdict>],
    named: &[String],
    id: impl for<'d> Fn(&'d Draft<'_>) -> &'d String,
    verdict: impl Fn() -> Verdict,
) {
    let named: BTreeSet<&String> = named.iter().collect();
    drafts.retain(|one| {
        let kept = named.contains(id(one));
        if !kept && let Some(said) = verdicts.get_mut(one.at) {
            *said = Some(verdict());
        }
        kept
    });
}

fn first_events(tx: &Tx, draft: &Draft<'_>) -> Result<Vec<event::Model>, StoreError> {
    let (row, command) = (&draft.row, draft.command);
    let data = order_data(row, &draft.lines, command.mode)?;
    let mut events = vec![NewEvent {
        kind: EventType::OrderCreated,
        sequence: 1,
        data: data.clone(),
    }];
    if row.paid_at.is_some() {
        events.push(NewEvent {
            kind: EventType::OrderPaid,
            sequence: 2,
            data,
        });
    }
    Ok(event_rows(
        tx,
        &row.shop_id,
        &row.id,
        "request",
        &command.trace,
        events,
    ))
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
