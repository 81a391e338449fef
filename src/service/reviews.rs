//! Open questions: the queue, and what is known of each.

use super::{Caller, ServiceError, Services};
use crate::domain::ids::{OrderId, ReviewId, ShopId, StaffId};
use crate::domain::page::{Page, Stretch};
use crate::domain::queue::Place;
use crate::domain::resolution::Resolution;
use crate::domain::settlement::Reason;
use crate::store::decisions::DecisionRecord;
pub use crate::store::reviews::OpenReview;

pub use super::resolve::Resolve;

impl Services {
    /// A page of the open questions of a shop, of one reason if given: what is due first, then the oldest.
    ///
    /// # Errors
    /// The store's.
    pub async fn open_reviews(
        &self,
        caller: &Caller,
        reason: Option<Reason>,
        page: &Page<Place>,
    ) -> Result<Stretch<OpenReview, Place>, ServiceError> {
        let shop = self.store.shop(caller.shop);
        let (rows, has_more) = shop.open_reviews(reason, page).await?;
        Ok(Stretch {
            rows,
            has_more,
            looked_until: None,
        })
    }

    /// How many questions of a shop are open, by their reason.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_reviews(&self, caller: &Caller) -> Result<Vec<(Reason, u64)>, ServiceError> {
        Ok(self.store.shop(caller.shop).count_reviews().await?)
    }

    /// One question with what people compare, open or not.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a question that is not there, another shop's, or about no order.
    pub async fn review(
        &self,
        caller: &Caller,
        review: ReviewId,
    ) -> Result<OpenReview, ServiceError> {
        let found = self.store.shop(caller.shop).review(review).await?;
        found.ok_or(ServiceError::NotFound)
    }

    /// What can be done about a question of the queue now.
    ///
    /// # Errors
    /// The store's.
    pub async fn resolutions_of(
        &self,
        caller: &Caller,
        open: &OpenReview,
    ) -> Result<Vec<Resolution>, ServiceError> {
        let standing = self.standing(caller, open.order).await?;
        let mut known = standing.reviews.iter();
        let known = known.find(|known| known.id == open.review.id);
        Ok(known.map_or_else(Vec::new, |known| standing.resolutions(known)))
    }

    /// The name of a member of staff who did something; none for whoever is none, or is not known any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn staff_name(&self, actor: &str) -> Result<Option<String>, ServiceError> {
        let Ok(id) = actor.parse::<StaffId>() else {
            return Ok(None);
        };
        let person = self.store.staff_by_id(id).await?;
        Ok(person.map(|person| person.name))
    }

    /// Where people look at a payment at the provider.
    #[must_use]
    pub fn at_provider(&self, intent: &str) -> Option<String> {
        self.provider.dashboard(intent)
    }

    /// How many questions of a shop are open.
    ///
    /// # Errors
    /// The store's.
    pub async fn open_reviews_of(&self, shop: ShopId) -> Result<u64, ServiceError> {
        let counts = self.store.shop(shop).count_reviews().await?;
        let sum = counts
            .iter()
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        Ok(sum)
    }

    /// The order a question is about.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a question that is not there, another shop's, or about no order.
    pub async fn order_of_review(
        &self,
        caller: &Caller,
        review: ReviewId,
    ) -> Result<OrderId, ServiceError> {
        let order = self.store.shop(caller.shop).order_of_review(review).await?;
        order.ok_or(ServiceError::NotFound)
    }

    /// What was decided about an order's questions, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn decisions(
        &self,
        caller: &Caller,
        order: OrderId,
    ) -> Result<Vec<DecisionRecord>, ServiceError> {
        Ok(self.store.shop(caller.shop).decisions(order).await?)
    }
}
