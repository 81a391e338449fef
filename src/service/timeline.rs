//! Why an order is as it is.

use super::{Caller, ServiceError, Services};
use crate::domain::ids::OrderId;
use crate::domain::timeline::{Timeline, page};

impl Services {
    /// What happened to an order, after the entry `after`, at most so many entries.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an order that is not there or another shop's, [`ServiceError::Invalid`] for an
    /// entry it does not have.
    pub async fn timeline(
        &self,
        caller: &Caller,
        id: OrderId,
        after: Option<&str>,
        most: usize,
    ) -> Result<Timeline, ServiceError> {
        let entries = self.store.shop(caller.shop).timeline(id).await?;
        let entries = entries.ok_or(ServiceError::NotFound)?;
        let Some((data, has_more)) = page(entries, after, most) else {
            let detail = "is no entry of this timeline".to_owned();
            return Err(ServiceError::Invalid(vec![(
                "/starting_after".to_owned(),
                detail,
            )]));
        };
        Ok(Timeline {
            object: "list",
            data,
            has_more,
            url: format!("/v1/orders/{id}/timeline"),
        })
    }
}
