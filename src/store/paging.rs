//! Pages of lists: one shop's rows by id, read from a cursor, so that a page stays what it is when rows are added.

use std::str::FromStr;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IdenStatic, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::StoreError;
use super::primary::Connection;
use super::rows::parse;
use crate::domain::ids::{Id, OrderId, ShopId};
use crate::domain::page::{Cursor, Page, Span, Stretch, cut};
use crate::domain::time::{MINUTE_MS, Timestamp};

/// How many rows are looked at for one page of a list whose filter no index serves.
const REACH: u64 = 10_000;

/// How far the time in a row's id may be from the time in the row, in milliseconds: the id can be made before the
/// transaction, and by another machine.
const ID_SLACK_MS: i64 = MINUTE_MS;

/// The rows of a page, newest first, and whether there are more in its direction; `id` is what the list is sorted by.
pub(super) async fn page_of<E, Id>(
    reader: &Connection,
    query: Select<E>,
    id: E::Column,
    page: &Page<Id>,
) -> Result<(Vec<E::Model>, bool), StoreError>
where
    E: EntityTrait,
    Id: ToString,
{
    // One more than wanted, to know whether there are more.
    let query = query.limit(page.limit.saturating_add(1));
    let query = match &page.cursor {
        Cursor::Newest => query.order_by_desc(id),
        Cursor::StartingAfter(last) => query.filter(id.lt(last.to_string())).order_by_desc(id),
        Cursor::EndingBefore(first) => query.filter(id.gt(first.to_string())).order_by_asc(id),
    };
    Ok(cut(query.all(reader).await?, page))
}

/// A page of the rows of `query` that pass `filter`, which no index serves: so that a filter nothing passes does not
/// read the whole table, only the nearest [`REACH`] rows are looked at.
pub(super) async fn searched<E, I>(
    reader: &Connection,
    query: Select<E>,
    filter: Condition,
    id: E::Column,
    page: &Page<I>,
) -> Result<Stretch<E::Model, I>, StoreError>
where
    E: EntityTrait,
    I: ToString + FromStr,
{
    let edge = match filter.is_empty() {
        true => None,
        false => edge_of(reader, query.clone(), id, page).await?,
    };
    let query = query.filter(filter);
    let query = match (&edge, &page.cursor) {
        (None, _) => query,
        (Some(edge), Cursor::EndingBefore(_)) => query.filter(id.lte(edge)),
        (Some(edge), Cursor::Newest | Cursor::StartingAfter(_)) => query.filter(id.gte(edge)),
    };
    let (rows, has_more) = page_of(reader, query, id, page).await?;
    let looked_until = match (has_more, edge) {
        (false, Some(edge)) => Some(parse(id.as_str(), &edge)?),
        _ => None,
    };
    Ok(Stretch {
        rows,
        has_more,
        looked_until,
    })
}

/// The id of the last row that is looked at for a page; none when all of them are.
async fn edge_of<E, I>(
    reader: &Connection,
    query: Select<E>,
    id: E::Column,
    page: &Page<I>,
) -> Result<Option<String>, StoreError>
where
    E: EntityTrait,
    I: ToString,
{
    let query = match &page.cursor {
        Cursor::Newest => query.order_by_desc(id),
        Cursor::StartingAfter(last) => query.filter(id.lt(last.to_string())).order_by_desc(id),
        Cursor::EndingBefore(first) => query.filter(id.gt(first.to_string())).order_by_asc(id),
    };
    let edge = query.select_only().column(id);
    let edge = edge.offset(REACH.saturating_sub(1)).limit(1);
    Ok(edge.into_tuple().one(reader).await?)
}

/// Rows made in a span of time: by their ids, which begin with it and are an index, and to the millisecond by the
/// column that says so.
pub(super) fn made_in<I: Id, C: ColumnTrait>(id: C, created_at: C, span: Span) -> Condition {
    let bound = |at: Timestamp, slack| I::first_of(at.plus_ms(slack)).to_string();
    let mut all = Condition::all();
    if let Some(from) = span.from {
        all = all.add(id.gte(bound(from, -ID_SLACK_MS)));
        all = all.add(created_at.gte(from.ms()));
    }
    if let Some(until) = span.until {
        all = all.add(id.lt(bound(until, ID_SLACK_MS)));
        all = all.add(created_at.lt(until.ms()));
    }
    all
}

/// That a row found through another index is the shop's. Without the sum SQLite would walk all of the shop's rows
/// instead, because they come in the right order.
pub(super) fn and_of_shop<C: ColumnTrait>(shop_id: C, shop: ShopId) -> Condition {
    let text = Expr::cust(format!("\"{}\" || ''", shop_id.as_str()));
    Condition::all().add(ExprTrait::eq(text, shop.to_string()))
}

/// That a row is the shop's, and of one order if that is given: then it is found by the order.
pub(super) fn of_shop<C: ColumnTrait>(
    (shop_id, shop): (C, ShopId),
    (order_id, order): (C, Option<OrderId>),
) -> Condition {
    match order {
        None => Condition::all().add(shop_id.eq(shop.to_string())),
        Some(order) => and_of_shop(shop_id, shop).add(order_id.eq(order.to_string())),
    }
}
