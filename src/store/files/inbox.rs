//! Events of the provider, as staff see them.
//!
//! One that no order of ours is known for belongs to nobody's shop: the shop that owns the provider account sees it.

use std::collections::HashMap;

use entity::{ledger_transaction, provider_event as row, provider_fact};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::super::paging::{made_in, searched};
use super::super::rows::{money, parse, parse_opt};
use super::super::{Engine, ShopStore, StoreError};
use super::Numbers;
use crate::domain::ids::{AccountId, ProviderEventId};
use crate::domain::inbox::{InboxFile, InboxFilter, InboxStory, ToldFact};
use crate::domain::page::{Page, Stretch};
use crate::domain::time::Timestamp;

/// The most facts of one event that are shown.
const MAX_FACTS: u64 = 100;

fn file(row: &row::Model, numbers: &Numbers) -> Result<InboxFile, StoreError> {
    let order = parse_opt("provider_event.order_id", row.order_id.as_deref())?;
    let number = numbers.of(row.order_id.as_deref().unwrap_or_default());
    Ok(InboxFile {
        id: parse("provider_event.id", &row.id)?,
        event_id: row.event_id.clone(),
        kind: row.kind.clone(),
        verdict: parse("provider_event.verdict", &row.verdict)?,
        reason: row.reason.clone(),
        attempts: row.attempt_count,
        next_at: row.next_at.map(Timestamp::from_ms),
        order: order.map(|order| (order, number)),
        account: parse("provider_event.account", &row.provider_account_id)?,
        received_at: Timestamp::from_ms(row.received_at),
        settled_at: row.settled_at.map(Timestamp::from_ms),
        request_id: row.request_id.clone(),
    })
}

/// Events without their bytes, which are many and may name people.
fn without_bytes(engine: Engine) -> Select<row::Entity> {
    let nothing = match engine {
        Engine::Sqlite => "NULL",
        Engine::Postgres => "NULL::bytea",
    };
    let columns = row::Column::iter().filter(|column| !matches!(column, row::Column::Raw));
    row::Entity::find()
        .select_only()
        .columns(columns)
        .expr_as(Expr::cust(nothing), "raw")
}

impl ShopStore<'_> {
    /// A page of the events that are the shop's to see and pass a filter, newest first; also those of no shop that
    /// came for the account it `owns`.
    ///
    /// # Errors
    /// The database's.
    pub async fn inbox_files(
        &self,
        filter: &InboxFilter,
        owns: Option<AccountId>,
        page: &Page<ProviderEventId>,
    ) -> Result<Stretch<InboxFile, ProviderEventId>, StoreError> {
        use row::Column as C;
        let mut query = without_bytes(self.store.engine).filter(made_in::<ProviderEventId, _>(
            C::Id,
            C::ReceivedAt,
            filter.received,
        ));
        let mut rest = Condition::all().add(self.sees(owns));
        match (&filter.order, filter.verdict) {
            (Some(order), verdict) => {
                query = query.filter(C::OrderId.eq(order.to_string()));
                rest = rest.add_option(verdict.map(|verdict| C::Verdict.eq(verdict.as_str())));
            }
            (None, Some(verdict)) if verdict.is_open() => {
                // In the words of the index over what is open, which is never much.
                let open = "verdict IN ('pending', 'quarantined', 'dead')";
                query = query.filter(Expr::cust(open));
                query = query.filter(C::Verdict.eq(verdict.as_str()));
            }
            (None, verdict) => {
                rest = rest.add_option(verdict.map(|verdict| C::Verdict.eq(verdict.as_str())));
            }
        }
        rest = rest.add_option(filter.kind.as_ref().map(|kind| C::Kind.eq(kind)));
        rest = rest.add_option(filter.reason.as_ref().map(|why| C::Reason.eq(why)));
        let found = searched(&self.store.reader, query, rest, C::Id, page).await?;
        let orders = found.rows.iter().filter_map(|row| row.order_id.as_ref());
        let numbers = self.numbers(orders).await?;
        let files = found.rows.iter().map(|row| file(row, &numbers));
        Ok(Stretch {
            rows: files.collect::<Result<_, _>>()?,
            has_more: found.has_more,
            looked_until: found.looked_until,
        })
    }

    /// That an event is the shop's to see.
    fn sees(&self, owns: Option<AccountId>) -> Condition {
        let nobodys = owns.map(|account| {
            Condition::all()
                .add(row::Column::ShopId.is_null())
                .add(row::Column::ProviderAccountId.eq(account.to_string()))
        });
        Condition::any()
            .add(row::Column::ShopId.eq(self.shop.to_string()))
            .add_option(nobodys)
    }

    /// One of the events that are the shop's to see, with what it was the first to tell.
    ///
    /// # Errors
    /// The database's.
    pub async fn inbox_story(
        &self,
        id: ProviderEventId,
        owns: Option<AccountId>,
    ) -> Result<Option<InboxStory>, StoreError> {
        let row = row::Entity::find_by_id(id.to_string())
            .filter(self.sees(owns))
            .one(&self.store.reader)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let numbers = self.numbers(row.order_id.iter()).await?;
        Ok(Some(InboxStory {
            event: file(&row, &numbers)?,
            facts: self.facts_told_by(&row).await?,
            signature: row.signature,
            secret_index: row.secret_index,
            api_version: row.api_version,
            live: row.livemode,
            object_id: row.object_id,
            intent_id: row.intent_id,
            charge_id: row.charge_id,
            body: row.raw,
        }))
    }

    async fn facts_told_by(&self, event: &row::Model) -> Result<Vec<ToldFact>, StoreError> {
        let Some(order) = &event.order_id else {
            return Ok(Vec::new());
        };
        let facts = provider_fact::Entity::find()
            .filter(provider_fact::Column::OrderId.eq(order))
            .filter(provider_fact::Column::SourceId.eq(&event.id))
            .order_by_asc(provider_fact::Column::Id)
            .limit(MAX_FACTS)
            .all(&self.store.reader)
            .await?;
        let ids = facts.iter().map(|fact| fact.id.clone());
        let posted: Vec<(String, String)> = ledger_transaction::Entity::find()
            .filter(ledger_transaction::Column::FactId.is_in(ids))
            .select_only()
            .columns([
                ledger_transaction::Column::FactId,
                ledger_transaction::Column::Id,
            ])
            .into_tuple()
            .all(&self.store.reader)
            .await?;
        let posted: HashMap<String, String> = posted.into_iter().collect();
        let facts = facts.into_iter().map(|fact| {
            let amount = match fact.currency.as_str() {
                "" => None,
                currency => Some(money(fact.amount_minor, currency)?),
            };
            let transaction = posted.get(&fact.id).map(String::as_str);
            Ok(ToldFact {
                id: parse("provider_fact.id", &fact.id)?,
                kind: fact.kind,
                object: fact.object_id,
                amount,
                transaction: parse_opt("ledger_transaction.id", transaction)?,
            })
        });
        facts.collect()
    }
}
