//! Which orders a search finds, a page of them, without looking at all it finds.
//!
//! A word that is a whole term, or begins only a few, is that many sorted lists of orders: the newest of each are
//! enough for a page. A word that begins many terms is one range whose orders must be sorted. Of several words the
//! one that fewest orders have leads, and the others are asked about its orders one by one.

use entity::{order, order_term};
use sea_orm::sea_query::{
    Alias, Asterisk, Expr, ExprTrait as _, Order as Direction, Query, SelectStatement, UnionType,
};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait as _};

use super::rows::sql;
use super::search::{matching, within};
use super::{ShopStore, StoreError};
use crate::domain::ids::OrderId;
use crate::domain::page::{Cursor, Page};
use crate::domain::search::{Search, Word};

/// Up to so many terms that begin with a word are looked up one by one.
const FEW_TERMS: usize = 32;
/// Beyond so many rows none is counted further.
const COUNTED: u64 = 1_000;

/// What a word stands for among a shop's terms.
#[derive(Debug, Clone)]
enum Reach {
    /// These terms.
    Terms(Vec<String>),
    /// Every term of a range.
    Range(Word),
}

impl ShopStore<'_> {
    /// The ids of the orders that have every word and meet the conditions, in the order the page is read, one more
    /// than it holds when there are more.
    pub(super) async fn found(
        &self,
        search: &Search,
        conditions: &Condition,
        page: &Page<OrderId>,
    ) -> Result<Vec<String>, StoreError> {
        let mut reaches = Vec::new();
        for word in &search.words {
            let reach = self.reach(word).await?;
            if matches!(&reach, Reach::Terms(terms) if terms.is_empty()) {
                return Ok(Vec::new());
            }
            reaches.push(reach);
        }
        let leader = self.rarest(&reaches).await?;
        let leading = reaches.swap_remove(leader);
        let query = self.page_of_found(&leading, &reaches, conditions, page);
        let rows = self.store.reader.query_all(&query).await?;
        rows.iter()
            .map(|row| Ok(row.try_get_by_index(0)?))
            .collect()
    }

    /// The condition that an order has every word, for a query that something else makes short.
    pub(super) async fn having(&self, search: &Search) -> Result<Condition, StoreError> {
        let mut all = Condition::all();
        for word in &search.words {
            let reach = self.reach(word).await?;
            all = all.add(self.has(&reach, Expr::col((order::Entity, order::Column::Id))));
        }
        Ok(all)
    }

    /// The terms a word begins, if they are few: each is looked up from the one before it.
    async fn reach(&self, word: &Word) -> Result<Reach, StoreError> {
        let (from, before) = match word {
            Word::Whole(term) => return Ok(Reach::Terms(vec![term.clone()])),
            Word::Prefix { from, before } => (from, before),
        };
        let shop = self.shop.to_string();
        let below = match before {
            Some(_) => "AND term < ? ",
            None => "",
        };
        let text = format!(
            "WITH RECURSIVE begun (term) AS (\
             SELECT * FROM (SELECT term FROM order_term WHERE shop_id = ? AND term >= ? {below}\
             ORDER BY term LIMIT 1) AS first \
             UNION ALL \
             SELECT (SELECT term FROM order_term WHERE shop_id = ? AND term > begun.term {below}\
             ORDER BY term LIMIT 1) FROM begun WHERE begun.term IS NOT NULL) \
             SELECT term FROM begun WHERE term IS NOT NULL LIMIT {}",
            FEW_TERMS.saturating_add(1)
        );
        let mut values = vec![shop.clone(), from.clone()];
        values.extend(before.clone());
        values.push(shop);
        values.extend(before.clone());
        let values = values.into_iter().map(Into::into);
        let statement = sql(self.store.engine, &text, values);
        let rows = self.store.reader.query_all_raw(statement).await?;
        if rows.len() > FEW_TERMS {
            return Ok(Reach::Range(word.clone()));
        }
        let terms = rows.iter().map(|row| row.try_get_by_index(0));
        Ok(Reach::Terms(terms.collect::<Result<_, _>>()?))
    }

    /// Which of the words fewest orders have.
    async fn rarest(&self, reaches: &[Reach]) -> Result<usize, StoreError> {
        let mut rarest = (0, u64::MAX);
        if reaches.len() < 2 {
            return Ok(rarest.0);
        }
        for (at, reach) in reaches.iter().enumerate() {
            let mut some = Query::select();
            some.expr(Expr::val(1))
                .from(order_term::Entity)
                .and_where(order_term::Column::ShopId.eq(self.shop.to_string()))
                .cond_where(reached(reach))
                .limit(COUNTED);
            let mut query = Query::select();
            query
                .expr(Expr::col(Asterisk).count())
                .from_subquery(some, Alias::new("some"));
            let row = self.store.reader.query_one(&query).await?;
            let many: i64 = match row {
                Some(row) => row.try_get_by_index(0)?,
                None => 0,
            };
            let many = u64::try_from(many).unwrap_or(0);
            // A range is sorted before its first order is known.
            let cost = many.saturating_add(u64::from(matches!(reach, Reach::Range(_))));
            if cost < rarest.1 {
                rarest = (at, cost);
            }
        }
        Ok(rarest.0)
    }

    fn page_of_found(
        &self,
        leading: &Reach,
        others: &[Reach],
        conditions: &Condition,
        page: &Page<OrderId>,
    ) -> SelectStatement {
        let one_more = page.limit.saturating_add(1);
        let list = |reach: Condition| {
            let id = order_term::Column::OrderId;
            let mut query = Query::select();
            query
                .distinct()
                .column(id)
                .from(order_term::Entity)
                .and_where(order_term::Column::ShopId.eq(self.shop.to_string()))
                .cond_where(reach);
            for other in others {
                query.and_where(self.has(other, Expr::col((order_term::Entity, id))));
            }
            if !conditions.is_empty() {
                query.and_where(met(conditions));
            }
            let direction = match &page.cursor {
                Cursor::Newest => Direction::Desc,
                Cursor::StartingAfter(last) => {
                    query.and_where(id.lt(last.to_string()));
                    Direction::Desc
                }
                Cursor::EndingBefore(first) => {
                    query.and_where(id.gt(first.to_string()));
                    Direction::Asc
                }
            };
            query.order_by(id, direction.clone()).limit(one_more);
            (query, direction)
        };
        let mut lists = match leading {
            Reach::Range(word) => vec![list(within(word))],
            Reach::Terms(terms) => terms
                .iter()
                .map(|term| list(Condition::all().add(order_term::Column::Term.eq(term))))
                .collect(),
        };
        let (first, direction) = lists.swap_remove(0);
        if lists.is_empty() {
            return first;
        }
        let id = order_term::Column::OrderId;
        let whole = |list: SelectStatement| {
            let mut query = Query::select();
            query.column(id).from_subquery(list, Alias::new("list"));
            query
        };
        let mut union = whole(first);
        for (list, _) in lists {
            union.union(UnionType::Distinct, whole(list));
        }
        let mut query = Query::select();
        query
            .column(id)
            .from_subquery(union, Alias::new("lists"))
            .order_by(id, direction)
            .limit(one_more);
        query
    }

    /// Whether the order with this id has a word.
    fn has(&self, reach: &Reach, id: Expr) -> Expr {
        match reach {
            // Its terms are not known by order: all that have the word are gathered once.
            Reach::Range(word) => id.in_subquery(matching(self.shop, word)),
            Reach::Terms(terms) => {
                let other = Alias::new("other");
                let column = |column: order_term::Column| Expr::col((other.clone(), column));
                let mut query = Query::select();
                query
                    .expr(Expr::val(1))
                    .from_as(order_term::Entity, other.clone())
                    .and_where(column(order_term::Column::ShopId).eq(self.shop.to_string()))
                    .and_where(column(order_term::Column::Term).is_in(terms))
                    .and_where(column(order_term::Column::OrderId).eq(id));
                Expr::exists(query)
            }
        }
    }
}

/// The terms a word reaches.
fn reached(reach: &Reach) -> Condition {
    match reach {
        Reach::Range(word) => within(word),
        Reach::Terms(terms) => Condition::all().add(order_term::Column::Term.is_in(terms)),
    }
}

/// Whether a term's order meets the conditions.
fn met(conditions: &Condition) -> Expr {
    let mut query = Query::select();
    let id = Expr::col((order_term::Entity, order_term::Column::OrderId));
    query
        .expr(Expr::val(1))
        .from(order::Entity)
        .and_where(Expr::col((order::Entity, order::Column::Id)).eq(id))
        .cond_where(conditions.clone());
    Expr::exists(query)
}
