//! Pages of lists: one shop's rows by id, read from a cursor, so that a page stays what it is when rows are added.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::StoreError;
use super::primary::Connection;
use crate::domain::page::{Cursor, Page, cut};

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
