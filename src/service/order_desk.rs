//! The orders of a shop as staff see them: the list with its counts, and everything about one order.

use super::{ServiceError, Services};
use crate::domain::access::Mode;
use crate::domain::dossier::Dossier;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::order::{Order, OrderFilter};
use crate::domain::order_view::{Counted, Facet};
use crate::domain::page::Page;

impl Services {
    /// A page of a shop's orders, newest first, and whether there are more in its direction.
    ///
    /// # Errors
    /// The store's.
    pub async fn desk_orders(
        &self,
        shop: ShopId,
        mode: Mode,
        filter: &OrderFilter,
        page: &Page<OrderId>,
    ) -> Result<(Vec<Order>, bool), ServiceError> {
        Ok(self.store.shop(shop).orders(filter, page, mode).await?)
    }

    /// How many orders each of the list's filters has by itself, counted up to
    /// [`crate::domain::order_view::COUNT_BOUND`].
    ///
    /// # Errors
    /// The store's.
    pub async fn order_counts(
        &self,
        shop: ShopId,
        unpaid_hours: u32,
    ) -> Result<Vec<(Facet, Counted)>, ServiceError> {
        let now = self.clock.now();
        let facets: Vec<_> = Facet::all()
            .into_iter()
            .map(|facet| (facet, facet.narrowing(now, unpaid_hours)))
            .collect();
        Ok(self.store.shop(shop).count_orders(&facets).await?)
    }

    /// Everything about an order.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not there or another shop's.
    pub async fn dossier(
        &self,
        shop: ShopId,
        mode: Mode,
        id: OrderId,
    ) -> Result<Dossier, ServiceError> {
        let dossier = self.store.shop(shop).dossier(id, mode).await?;
        dossier.ok_or(ServiceError::NotFound)
    }

    /// The shop of an order.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] when no shop has it.
    pub async fn shop_of_order(&self, id: OrderId) -> Result<ShopId, ServiceError> {
        let shop = self.store.shop_of_order(id).await?;
        shop.ok_or(ServiceError::NotFound)
    }
}
