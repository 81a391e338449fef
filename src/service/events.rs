//! The feed: what happened in a shop, in one order for ever. On PostgreSQL events get their place in their shop's feed in
//! short transactions of their own, so that a reader of positions never passes one that commits late; on SQLite, where
//! one transaction writes at a time, they are inserted at it.

use super::{Caller, ServiceError, Services};
use crate::domain::event::Event;
use crate::domain::ids::EventId;
use crate::domain::page::List;
use crate::store::events::Patience;
use crate::store::feed::Place;

impl Services {
    /// Places the events that have no position yet. Returns how many.
    ///
    /// A shop that somebody has locked keeps no other waiting: it has its turn when all others have had theirs, and if
    /// it is locked for longer, in the next round. A lock that many ask for is never free, so it is asked for there.
    ///
    /// # Errors
    /// The store's.
    pub async fn place_events(&self) -> Result<u64, ServiceError> {
        let mut placed: u64 = 0;
        let mut shops = self.store.shops_with_unplaced_events().await?;
        for patience in [Patience::None, Patience::Some] {
            let mut locked = Vec::new();
            for shop in shops {
                match self.store.place_events(shop, patience).await? {
                    Some(events) => placed = placed.saturating_add(events),
                    None => locked.push(shop),
                }
            }
            shops = locked;
        }
        Ok(placed)
    }

    /// An event of the caller's shop.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn event(&self, caller: &Caller, id: EventId) -> Result<Event, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let event = shop.event(id, caller.mode).await?;
        event.ok_or(ServiceError::NotFound)
    }

    /// The shop's events after one, or from the beginning, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the shop has no such event.
    pub async fn feed(
        &self,
        caller: &Caller,
        after: Option<EventId>,
        limit: u64,
    ) -> Result<List<Event>, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let position = match after {
            None => 0,
            Some(id) => match shop.place_of(id).await? {
                Some(Place::At(position)) => position,
                // Whatever comes after it has no place yet either.
                Some(Place::NotYet) => return Ok(List::new("/v1/events", Vec::new(), false)),
                None => {
                    let detail = "is no event of this shop".to_owned();
                    return Err(ServiceError::Invalid(vec![("/after".to_owned(), detail)]));
                }
            },
        };
        let (events, has_more) = shop.feed(position, limit, caller.mode).await?;
        Ok(List::new("/v1/events", events, has_more))
    }
}
