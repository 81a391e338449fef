//! How staff narrow the list of orders, and how many orders each narrowing has.
//!
//! *One condition leads.* Each condition has an index, but an index only helps when the engine takes that of the
//! rarest one; SQLite keeps no statistics and would take any. So on SQLite the others are written such that no index
//! fits them, the way its documentation says: with a `+` before the column. PostgreSQL knows by itself what is rare.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use entity::order;

use super::rows::sql;
use super::{Engine, ShopStore, StoreError};
use crate::domain::ids::{Id as _, OrderId};
use crate::domain::order::{FulfilmentStatus, OrderFilter, OrderStatus, PaymentStatus};
use crate::domain::order_view::{COUNT_BOUND, Counted, Facet, Narrowing};
use crate::domain::time::Timestamp;

/// What makes SQLite use a partial index must stand in the statement itself, not in its parameters.
const IN_REVIEW: &str = "review IS NOT NULL";
const WAITING: &str = "status = 'open' AND payment_status = 'unpaid'";
const REFUNDED: &str = "refunded_minor > 0";
const DISPUTED: &str = "payment_status = 'disputed'";

/// A condition, with an index to be found by or written so that none fits.
struct Lead {
    text: String,
    /// As SQLite reads it when another condition leads.
    following: String,
}

impl Lead {
    /// A closed list's word in a column.
    fn word(column: &str, word: &'static str) -> Lead {
        Lead::of(&format!("{column} = '{word}'"))
    }

    /// A condition on one column, which stands first.
    fn of(text: &str) -> Lead {
        Lead {
            text: text.to_owned(),
            following: format!("+{text}"),
        }
    }
}

/// The conditions of a narrowing that have an index, the one that should lead first.
fn leads(narrowing: &Narrowing) -> Vec<Lead> {
    let mut leads = Vec::new();
    if let Some(review) = narrowing.review {
        leads.push(Lead::word("review", review.as_str()));
    }
    if narrowing.in_review {
        leads.push(Lead::of(IN_REVIEW));
    }
    if narrowing.disputed {
        leads.push(Lead::of(DISPUTED));
    }
    if narrowing.unpaid_since.is_some() {
        leads.push(Lead {
            text: WAITING.to_owned(),
            following: "+status = 'open' AND +payment_status = 'unpaid'".to_owned(),
        });
    }
    if narrowing.refunded {
        leads.push(Lead::of(REFUNDED));
    }
    let word = |column, word: Option<&'static str>| word.map(|word| Lead::word(column, word));
    let payment = narrowing.payment;
    let common = payment.is_some_and(is_common);
    let payment = word("payment_status", payment.map(PaymentStatus::as_str));
    let status = word("status", narrowing.status.map(OrderStatus::as_str));
    let fulfilment = narrowing.fulfilment.map(FulfilmentStatus::as_str);
    let fulfilment = word("fulfilment_status", fulfilment);
    let words = if common {
        [status, payment, fulfilment]
    } else {
        [payment, status, fulfilment]
    };
    leads.extend(words.into_iter().flatten());
    leads
}

/// What most orders of a shop are, sooner or later.
fn is_common(payment: PaymentStatus) -> bool {
    matches!(payment, PaymentStatus::Paid | PaymentStatus::Unpaid)
}

impl ShopStore<'_> {
    /// The conditions of a filter that only staff have.
    pub(super) fn narrowed(&self, filter: &OrderFilter) -> Condition {
        let narrowing = &filter.narrowing;
        let mut all = Condition::all();
        let search = filter.search.as_ref();
        let searched = search.is_some_and(|search| !search.words.is_empty());
        let mut led = searched;
        if let Some(since) = narrowing.paid_since {
            all = all.add(match searched {
                true => order::Column::PaidAt.gte(since.ms()),
                false => self.paid_since(since),
            });
            led = true;
        }
        for lead in leads(narrowing) {
            let follows = led && self.store.engine == Engine::Sqlite;
            all = all.add(Expr::cust(if follows { lead.following } else { lead.text }));
            led = true;
        }
        if let Some(before) = narrowing.unpaid_since {
            // An id carries the time its order was placed, and the index is sorted by it.
            let first = OrderId::first_of(before).to_string();
            all = all
                .add(order::Column::Id.lt(first))
                .add(order::Column::CreatedAt.lt(before.ms()));
        }
        let currency = narrowing.currency;
        all.add_option(currency.map(|currency| order::Column::Currency.eq(currency.code())))
    }

    /// Found by the index over the time of payment and then sorted by id: sorting the rows themselves would read
    /// every one of them.
    fn paid_since(&self, since: Timestamp) -> SimpleExpr {
        let paid = order::Entity::find()
            .select_only()
            .column(order::Column::Id)
            .filter(order::Column::ShopId.eq(self.shop.to_string()))
            .filter(order::Column::PaidAt.is_not_null())
            .filter(order::Column::PaidAt.gte(since.ms()));
        order::Column::Id.in_subquery(sea_orm::QueryTrait::into_query(paid))
    }

    /// How many orders each facet has, counted up to [`COUNT_BOUND`], in one statement. The views count by the time
    /// `now`.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_orders(
        &self,
        facets: &[(Facet, Narrowing)],
    ) -> Result<Vec<(Facet, Counted)>, StoreError> {
        let mut values = Vec::new();
        let mut parts = Vec::with_capacity(facets.len());
        for (at, (_, narrowing)) in facets.iter().enumerate() {
            let mut text = "shop_id = ?".to_owned();
            values.push(self.shop.to_string().into());
            for lead in leads(narrowing) {
                // A facet has one condition with an index, which leads.
                text.push_str(" AND ");
                text.push_str(&lead.text);
            }
            if let Some(since) = narrowing.paid_since {
                text.push_str(" AND paid_at IS NOT NULL AND paid_at >= ?");
                values.push(since.ms().into());
            }
            if let Some(before) = narrowing.unpaid_since {
                text.push_str(" AND id < ?");
                values.push(OrderId::first_of(before).to_string().into());
            }
            let limit = COUNT_BOUND.saturating_add(1);
            parts.push(format!(
                "SELECT {at}, COUNT(*) FROM (SELECT 1 FROM \"order\" WHERE {text} LIMIT {limit}) counted"
            ));
        }
        let text = parts.join(" UNION ALL ");
        let rows = self
            .store
            .reader
            .query_all_raw(sql(self.store.engine, &text, values))
            .await?;
        let mut counts = vec![0_i64; facets.len()];
        for row in rows {
            let at: i32 = row.try_get_by_index(0)?;
            let place = usize::try_from(at).ok().and_then(|at| counts.get_mut(at));
            if let Some(place) = place {
                *place = row.try_get_by_index(1)?;
            }
        }
        let counts = counts
            .into_iter()
            .map(|count| u64::try_from(count).unwrap_or(0));
        let facets = facets.iter().map(|(facet, _)| *facet);
        Ok(facets.zip(counts.map(Counted::of)).collect())
    }
}
