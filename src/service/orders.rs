//! Orders: placing, reading, listing.

use std::sync::Arc;

use super::idempotency::{claim, same_request};
use super::{Answer, Caller, Refusal, ServiceError, Services};
use crate::domain::access::KeyKind;
use crate::domain::ids::OrderId;
use crate::domain::order::{NewOrder, Order, OrderFilter, PlacedOrder};
use crate::domain::page::{List, Page};
use crate::domain::pricing::PricingError;
use crate::store::{PlaceOrder, Placed};

const ROUTE: &str = "POST /v1/orders";
const PATH: &str = "/v1/orders";

impl Services {
    /// The answer to a request for an order that was made before, with the same key; none when the key is new.
    ///
    /// # Errors
    /// A key used for another request; the store's.
    pub async fn placed_before(
        &self,
        caller: &Caller,
        key: &str,
        wanted: &NewOrder,
    ) -> Result<Option<Answer>, ServiceError> {
        let claim = claim(caller, ROUTE, PATH, key, wanted);
        let Some(known) = self.store.shop(caller.shop).known_key(&claim).await? else {
            return Ok(None);
        };
        same_request(&claim, &known)?;
        self.replay_order(caller, &known).await.map(Some)
    }

    /// Places an order.
    ///
    /// # Errors
    /// An unknown SKU, a total that cannot be charged, a taken reference, a key used for another request.
    pub async fn place_order(
        &self,
        caller: &Caller,
        key: &str,
        wanted: NewOrder,
    ) -> Result<Answer, ServiceError> {
        let provider = self.provider.clone();
        let now = self.clock.now();
        let claim = claim(caller, ROUTE, PATH, key, &wanted);
        let command = PlaceOrder {
            id: self.clock.id(),
            shop: caller.shop,
            mode: caller.mode,
            currency: wanted.currency,
            reference: wanted.reference,
            customer: wanted.customer,
            shipping_address: wanted.shipping_address,
            billing_address: wanted.billing_address,
            metadata: wanted.metadata,
            lines: wanted.lines,
            chargeable: Arc::new(move |total| {
                provider.chargeable(total).map_err(|why| why.to_string())
            }),
            key: claim,
            token_key: self.secrets.signing(),
            expires_at: now.plus_ms(self.expire_after_ms),
            trace: caller.trace(),
        };
        let (key, token_key) = (command.key.clone(), command.token_key);
        match self.store.place_order(command).await? {
            Placed::New(placed) => {
                self.metrics.orders_placed.count([]);
                self.wake.notify_waiters();
                Ok(self.answer(caller, *placed, token_key, false))
            }
            Placed::Known(known) => {
                same_request(&key, &known)?;
                self.replay_order(caller, &known).await
            }
            Placed::ReferenceTaken(order) => {
                // A browser may have guessed the reference; the order is not its to know.
                let named = (caller.kind == KeyKind::Secret).then_some(order);
                Err(ServiceError::ReferenceTaken(named))
            }
            Placed::Refused(why) => {
                let detail = why.to_string();
                let pointers: Vec<String> = match why {
                    PricingError::UnknownSku { lines } => {
                        let pointer = |line| format!("/line_items/{line}/sku");
                        lines.into_iter().map(pointer).collect()
                    }
                    PricingError::TotalTooLarge => vec!["/line_items".to_owned()],
                };
                let faults = pointers
                    .into_iter()
                    .map(|pointer| (pointer, detail.clone()));
                Err(ServiceError::Invalid(faults.collect()))
            }
            Placed::NotChargeable(why) => Err(ServiceError::refused(
                Refusal::AmountNotChargeable,
                format!("The provider cannot charge this total exactly: {why}"),
            )),
        }
    }

    async fn replay_order(
        &self,
        caller: &Caller,
        known: &crate::store::idempotency::KnownKey,
    ) -> Result<Answer, ServiceError> {
        let gone = |what: &str| {
            ServiceError::Store(crate::store::StoreError::Corrupt(format!(
                "a stored answer without its {what}"
            )))
        };
        let stored = known.answer.as_ref().ok_or_else(|| gone("body"))?;
        let placed: PlacedOrder = serde_json::from_str(&stored.body).map_err(|_| gone("order"))?;
        let shop = self.store.shop(caller.shop);
        let key = shop.order_token_key(placed.order.id).await?;
        let key = key.ok_or_else(|| gone("row"))?;
        Ok(self.answer(caller, placed, key, true))
    }

    /// The answer to a placed order, with its token, which is derived and never stored.
    fn answer(
        &self,
        caller: &Caller,
        mut placed: PlacedOrder,
        token_key: i64,
        replayed: bool,
    ) -> Answer {
        let id = placed.order.id;
        placed.client_token = self.secrets.client_token(token_key, caller.shop, id);
        Answer {
            status: 201,
            body: placed.to_json(),
            replayed,
            location: Some(format!("/v1/orders/{id}")),
            retry_after_s: None,
        }
    }

    /// An order.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or not the caller's to see.
    pub async fn order(&self, caller: &Caller, id: OrderId) -> Result<Order, ServiceError> {
        self.may_see(caller, id).await?;
        let shop = self.store.shop(caller.shop);
        let order = shop.order(id, caller.mode).await?;
        order.ok_or(ServiceError::NotFound)
    }

    /// An order, as an answer of the API.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and the store's.
    pub async fn order_answer(&self, caller: &Caller, id: OrderId) -> Result<Answer, ServiceError> {
        self.may_see(caller, id).await?;
        let shop = self.store.shop(caller.shop);
        let order = shop.order_shown(id, caller.mode).await?;
        let order = order.ok_or(ServiceError::NotFound)?;
        Ok(Answer {
            status: 200,
            body: order.json.clone(),
            replayed: false,
            location: None,
            retry_after_s: None,
        })
    }

    /// A page of orders, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn orders(
        &self,
        caller: &Caller,
        filter: &OrderFilter,
        page: &Page<OrderId>,
    ) -> Result<List<Order>, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let (orders, has_more) = shop.orders(filter, page, caller.mode).await?;
        Ok(List::new("/v1/orders", orders, has_more))
    }
}
