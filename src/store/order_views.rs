//! How the list of orders is narrowed, and how many orders each narrowing has.
//!
//! *One condition leads.* Each condition has an index, but an index only helps when the engine takes that of the
//! rarest one; SQLite keeps no statistics and would take any. So on SQLite several are counted, each up to
//! [`COUNT_BOUND`], and all but the rarest are written such that no index fits them, the way its documentation says: with
//! a `+` before the column. PostgreSQL knows by itself what is rare, as long as the statement says what is looked for.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    Value,
};

use entity::order;

use super::rows::sql;
use super::{Engine, ShopStore, StoreError};
use crate::domain::ids::{Id as _, OrderId};
use crate::domain::order::{FulfilmentStatus, OrderStatus, PaymentStatus};
use crate::domain::order_view::{COUNT_BOUND, Counted, Facet, Narrowing};
use crate::domain::time::Timestamp;

/// What makes SQLite use a partial index must stand in the statement itself, not in its parameters.
const IN_REVIEW: &str = "review IS NOT NULL";
const WAITING: &str = "status = 'open' AND payment_status = 'unpaid'";
const REFUNDED: &str = "refunded_minor > 0";
const DISPUTED: &str = "payment_status = 'disputed'";
const PAID_SINCE: &str = "paid_at IS NOT NULL AND paid_at >= ?";

/// A condition to be counted by, and the values in it.
type Counting = (String, Vec<Value>);

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

    fn counting(&self) -> Counting {
        (self.text.clone(), Vec::new())
    }

    /// A condition on one column, which stands first.
    fn of(text: &str) -> Lead {
        Lead {
            text: text.to_owned(),
            following: format!("+{text}"),
        }
    }
}

/// The conditions of a narrowing that have an index, in the order in which they lead.
pub(super) struct Leads {
    conditions: Vec<Lead>,
    /// Whether so few orders meet the first that a search is better asked about each of them.
    pub few: bool,
}

impl Leads {
    /// Those of a narrowing, as a rule says.
    pub fn of(narrowing: &Narrowing) -> Leads {
        Leads {
            conditions: leads(narrowing),
            few: false,
        }
    }
}

/// The conditions of a narrowing that have an index, those first that fewer orders meet as a rule.
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
    let waiting = (Some(OrderStatus::Open), Some(PaymentStatus::Unpaid));
    let waiting = (narrowing.status, narrowing.payment) == waiting;
    if waiting || narrowing.unpaid_since.is_some() {
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
    let words = match (waiting, common) {
        (true, _) => [None, None, fulfilment],
        (false, true) => [status, payment, fulfilment],
        (false, false) => [payment, status, fulfilment],
    };
    leads.extend(words.into_iter().flatten());
    leads
}

/// What most orders of a shop are, sooner or later.
fn is_common(payment: PaymentStatus) -> bool {
    matches!(payment, PaymentStatus::Paid | PaymentStatus::Unpaid)
}

impl ShopStore<'_> {
    /// What of a narrowing leads: what is known to be few, where that is worth a look. `searched`: words are looked for
    /// as well, and they lead unless something else is few.
    pub(super) async fn leads(
        &self,
        narrowing: &Narrowing,
        searched: bool,
    ) -> Result<Leads, StoreError> {
        let mut leads = Leads::of(narrowing);
        let counted: Vec<Counting> = match narrowing.paid_since {
            // It leads whatever else is asked for.
            Some(since) => vec![(PAID_SINCE.to_owned(), vec![since.ms().into()])],
            None => leads.conditions.iter().map(Lead::counting).collect(),
        };
        let several = self.store.engine == Engine::Sqlite && counted.len() > 1;
        if counted.is_empty() || !(several || searched) {
            return Ok(leads);
        }
        let counts = self.count(&counted).await?;
        leads.few = counts.iter().any(|count| count.exactly().is_some());
        if narrowing.paid_since.is_none() {
            let mut by_count: Vec<_> = counts.into_iter().zip(leads.conditions).collect();
            by_count.sort_by_key(|(count, _)| count.exactly().unwrap_or(u64::MAX));
            leads.conditions = by_count.into_iter().map(|(_, lead)| lead).collect();
        }
        Ok(leads)
    }

    /// The conditions of a narrowing. `led`: something else finds the orders, and they are only asked for these.
    pub(super) fn narrowed(&self, narrowing: &Narrowing, leads: Leads, led: bool) -> Condition {
        let mut all = Condition::all();
        let mut follows = led;
        if let Some(since) = narrowing.paid_since {
            all = all.add(match led {
                true => order::Column::PaidAt.gte(since.ms()),
                false => self.paid_since(since),
            });
            follows = true;
        }
        for lead in leads.conditions {
            let following = follows && self.store.engine == Engine::Sqlite;
            all = all.add(Expr::cust(if following {
                lead.following
            } else {
                lead.text
            }));
            follows = true;
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
        order::Column::Id.in_subquery(paid.into_query())
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
        let conditions: Vec<Counting> = facets
            .iter()
            .map(|(_, narrowing)| {
                // A facet has one condition with an index, which leads.
                let leads = leads(narrowing).into_iter();
                let mut texts: Vec<String> = leads.map(|lead| lead.text).collect();
                let mut values = Vec::new();
                if let Some(since) = narrowing.paid_since {
                    texts.push(PAID_SINCE.to_owned());
                    values.push(since.ms().into());
                }
                if let Some(before) = narrowing.unpaid_since {
                    texts.push("id < ?".to_owned());
                    values.push(OrderId::first_of(before).to_string().into());
                }
                (texts.join(" AND "), values)
            })
            .collect();
        let counts = self.count(&conditions).await?;
        let facets = facets.iter().map(|(facet, _)| *facet);
        Ok(facets.zip(counts).collect())
    }

    /// How many orders meet each of some conditions, counted up to the bound, in one statement.
    async fn count(&self, conditions: &[Counting]) -> Result<Vec<Counted>, StoreError> {
        let mut values: Vec<Value> = Vec::new();
        let limit = COUNT_BOUND.saturating_add(1);
        let parts = conditions.iter().enumerate().map(|(at, (text, more))| {
            values.push(self.shop.to_string().into());
            values.extend(more.iter().cloned());
            let and = if text.is_empty() { "" } else { " AND " };
            format!(
                "SELECT {at}, COUNT(*) FROM (SELECT 1 FROM \"order\" WHERE shop_id = ?{and}{text} \
                 LIMIT {limit}) counted"
            )
        });
        let text = parts.collect::<Vec<String>>().join(" UNION ALL ");
        let statement = sql(self.store.engine, &text, values);
        let mut counts = vec![0_i64; conditions.len()];
        for row in self.store.reader.query_all_raw(statement).await? {
            let at: i32 = row.try_get_by_index(0)?;
            let place = usize::try_from(at).ok().and_then(|at| counts.get_mut(at));
            if let Some(place) = place {
                *place = row.try_get_by_index(1)?;
            }
        }
        let counts = counts.into_iter();
        let counts = counts.map(|count| Counted::of(u64::try_from(count).unwrap_or(0)));
        Ok(counts.collect())
    }
}
