//! Placing orders: a command as data. Each caller prices its order and makes its rows; one transaction inserts the
//! keys, the orders, their lines and their first events, for one order or for all that wait.
//!
//! Prices come from what this process knows of the catalogue. The transaction takes them only if the catalogue has
//! not changed since; else the order is priced anew.

mod draft;
mod set;

use std::sync::Arc;

pub(super) use draft::Draft;

use super::idempotency::{KeyClaim, KnownKey};
use super::prices::Priced;
use super::{Store, StoreError};
use crate::domain::access::{Mode, Trace};
use crate::domain::currency::Currency;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::money::Money;
use crate::domain::order::{Address, Customer, Metadata, PlacedOrder};
use crate::domain::pricing::{PricingError, Quote, WantedLine, quote};
use crate::domain::time::Timestamp;

/// How often an order is priced anew because the catalogue changed meanwhile.
const MAX_TRIES: u32 = 10;

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
    /// Its key or its reference is known, or the catalogue is another by now; nothing of it was inserted.
    Refused,
}

impl Store {
    /// Places an order, together with those that others place at the moment, or says why not; a refusal leaves
    /// nothing behind.
    ///
    /// # Errors
    /// The database's; [`StoreError::Full`] when too many orders wait.
    pub async fn place_order(&self, command: PlaceOrder) -> Result<Placed, StoreError> {
        let shop = self.shop(command.shop);
        for _ in 0..MAX_TRIES {
            let (quote, catalogue) = match self.price(&command).await? {
                Ok(priced) => priced,
                // A repeated request gets its first answer whatever has happened to the catalogue since.
                Err(refusal) => {
                    return Ok(match shop.known_key(&command.key).await? {
                        Some(known) => Placed::Known(known),
                        None => refusal,
                    });
                }
            };
            let number = self.take_number(command.shop).await?;
            let (draft, placed) = draft::draft(self, &command, &quote, catalogue, number)?;
            match self.orders.submit(self, draft).await {
                Ok(Verdict::New) => return Ok(Placed::New(Box::new(placed))),
                Ok(Verdict::Refused) => self.give_number_back(command.shop, number),
                // Whether it was stored is not known: its number is not handed out again.
                Err(error) => return Err(error),
            }
            if let Some(known) = shop.known_key(&command.key).await? {
                return Ok(Placed::Known(known));
            }
            if let Some(reference) = &command.reference
                && let Some(taken) = shop.order_by_reference(reference).await?
            {
                return Ok(Placed::ReferenceTaken(taken));
            }
            self.known_prices.forget(command.shop);
        }
        let detail = "an order was refused again and again, and nothing stands in its way";
        Err(StoreError::Corrupt(detail.to_owned()))
    }

    /// What an order costs and which catalogue says so, or why it cannot be placed.
    async fn price(
        &self,
        command: &PlaceOrder,
    ) -> Result<Result<(Quote, Option<i64>), Placed>, StoreError> {
        let Priced { list, catalogue } = self
            .prices(command.shop, command.currency, &command.lines)
            .await?;
        let quote = match quote(command.currency, &command.lines, &list) {
            Ok(quote) => quote,
            Err(reason) => return Ok(Err(Placed::Refused(reason))),
        };
        if !quote.total.is_zero()
            && let Err(reason) = (command.chargeable)(quote.total)
        {
            return Ok(Err(Placed::NotChargeable(reason)));
        }
        Ok(Ok((quote, catalogue)))
    }
}
