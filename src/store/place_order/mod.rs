//! Placing orders: a command as data. Each caller prices its order and makes its rows; one transaction inserts the
//! keys, the orders, their lines and their first events, for one order or for all that wait.
//!
//! Prices come from what this process knows of the catalogue. The transaction takes them only if the catalogue has
//! not changed since; else the order is priced anew. An order that others outrun again and again is priced and inserted in
//! one transaction, in which nobody changes the catalogue.

mod draft;
mod set;

use std::sync::Arc;

pub(super) use draft::Draft;

use sea_orm::DbErr;

use super::failpoint::Step;
use super::idempotency::{KeyClaim, KnownKey};
use super::prices::Priced;
use super::{Constraint, Store, StoreError, Tx};
use crate::domain::access::{Mode, Trace};
use crate::domain::catalogue::PriceList;
use crate::domain::currency::Currency;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::money::Money;
use crate::domain::order::{Address, Customer, Metadata, PlacedOrder};
use crate::domain::pricing::{PricingError, Quote, WantedLine, quote};
use crate::domain::time::Timestamp;

/// How often an order is tried in all.
const MAX_TRIES: u32 = 10;

/// How often an order is priced without holding its catalogue.
const MAX_OUTRUN: u32 = 3;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    /// The catalogue is another by now; nothing of it was inserted.
    Outdated,
    /// Its key, its reference or its number is known; nothing of it was inserted.
    Refused,
}

/// One try of an order.
enum Tried {
    /// It was placed.
    Placed(Box<PlacedOrder>),
    /// It was not, with this number; whether the catalogue is to blame.
    Unplaced { number: i64, outdated: bool },
    /// It cannot be placed as the catalogue is.
    Not(Placed),
}

impl Tried {
    fn of(verdict: Verdict, number: i64, placed: PlacedOrder) -> Tried {
        match verdict {
            Verdict::New => Tried::Placed(Box::new(placed)),
            Verdict::Outdated | Verdict::Refused => Tried::Unplaced {
                number,
                outdated: verdict == Verdict::Outdated,
            },
        }
    }
}

impl Store {
    /// Places an order, together with those that others place at the moment, or says why not; a refusal leaves
    /// nothing behind.
    ///
    /// # Errors
    /// The database's; [`StoreError::Full`] when too many orders wait; [`StoreError::Collision`] when it was refused again
    /// and again.
    pub async fn place_order(&self, command: PlaceOrder) -> Result<Placed, StoreError> {
        let shop = command.shop;
        let mut outrun: u32 = 0;
        for _ in 0..MAX_TRIES {
            let tried = match outrun < MAX_OUTRUN {
                true => self.place_with_others(&command).await?,
                false => self.place_holding_the_catalogue(&command).await?,
            };
            let (number, outdated) = match tried {
                Tried::Placed(placed) => return Ok(Placed::New(placed)),
                Tried::Unplaced { number, outdated } => (number, outdated),
                // A repeated request gets its first answer whatever has happened to the catalogue since.
                Tried::Not(refusal) => {
                    let known = self.shop(shop).known_key(&command.key).await?;
                    return Ok(known.map_or(refusal, Placed::Known));
                }
            };
            let first = self.first_of_its_kind(&command).await?;
            if let Some(first) = first {
                self.give_number_back(shop, number);
                return Ok(first);
            }
            if outdated {
                self.give_number_back(shop, number);
                self.known_prices.forget(shop);
                outrun = outrun.saturating_add(1);
            } else {
                self.doubt_number(shop, number);
            }
        }
        let detail = "an order was refused again and again, and nothing stands in its way";
        Err(StoreError::Collision(DbErr::Custom(detail.to_owned())))
    }

    /// What stands in an order's way: its key was used before, or another one has its reference.
    async fn first_of_its_kind(&self, command: &PlaceOrder) -> Result<Option<Placed>, StoreError> {
        let shop = self.shop(command.shop);
        if let Some(known) = shop.known_key(&command.key).await? {
            return Ok(Some(Placed::Known(known)));
        }
        let Some(reference) = &command.reference else {
            return Ok(None);
        };
        let taken = shop.order_by_reference(reference).await?;
        Ok(taken.map(Placed::ReferenceTaken))
    }

    async fn place_with_others(&self, command: &PlaceOrder) -> Result<Tried, StoreError> {
        let (shop, currency, lines) = (command.shop, command.currency, &command.lines);
        let mut priced = self.prices(shop, currency, lines).await?;
        let mut judged = charged(command, &priced.list);
        // What is inserted is checked against the catalogue; what is refused never gets that far.
        if judged.is_err() && priced.remembered {
            priced = self.prices_now(shop, currency, lines).await?;
            judged = charged(command, &priced.list);
        }
        let quote = match judged {
            Ok(quote) => quote,
            Err(refusal) => return Ok(Tried::Not(refusal)),
        };
        let catalogue = priced.catalogue;
        let number = self.take_number(command.shop).await?;
        let (draft, placed) = draft::draft(self, command, &quote, catalogue, number)?;
        // If it fails, whether it was stored is not known: its number is not handed out again.
        let verdict = self.orders.submit(self, draft).await?;
        Ok(Tried::of(verdict, number, placed))
    }

    /// Its number comes first: nothing else can be taken from the shop's row meanwhile.
    async fn place_holding_the_catalogue(&self, command: &PlaceOrder) -> Result<Tried, StoreError> {
        let number = self.take_number(command.shop).await?;
        let work = |tx: Tx| async move {
            let priced = self.prices_held(&tx, command.shop, command.currency, &command.lines);
            let Priced {
                list, catalogue, ..
            } = priced.await?;
            let quote = match charged(command, &list) {
                Ok(quote) => quote,
                Err(refusal) => return Ok(Tried::Not(refusal)),
            };
            let (draft, placed) = draft::draft(self, command, &quote, catalogue, number)?;
            let verdict = set::insert_in(&tx, &draft).await?;
            Ok::<_, StoreError>(Tried::of(verdict, number, placed))
        };
        match self.write_at(Step::Place, work).await {
            // Another process took the key in the same moment, as in a set.
            Err(StoreError::Conflict(Constraint::IdempotencyKey)) => Ok(Tried::Unplaced {
                number,
                outdated: false,
            }),
            Ok(refusal @ Tried::Not(_)) => {
                self.give_number_back(command.shop, number);
                Ok(refusal)
            }
            tried => tried,
        }
    }
}

/// What an order costs, or why it cannot be placed.
fn charged(command: &PlaceOrder, list: &PriceList) -> Result<Quote, Placed> {
    let quote = quote(command.currency, &command.lines, list).map_err(Placed::Refused)?;
    if !quote.total.is_zero() {
        (command.chargeable)(quote.total).map_err(Placed::NotChargeable)?;
    }
    Ok(quote)
}
