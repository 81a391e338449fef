//! The ledger, read: every account's movements, and transactions with their entries.

use std::collections::HashMap;

use entity::{ledger_account, ledger_entry, ledger_transaction};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryResult, QuerySelect,
    Value,
};

use super::paging::{made_in, of_shop, searched};
use super::rows::{money, parse, sql};
use super::{ShopStore, StoreError};
use crate::domain::books::{
    AccountTotal, LedgerEntry, LedgerFilter, LedgerTransaction, PostedFact,
};
use crate::domain::ids::{LedgerTransactionId, OrderId, PaymentId};
use crate::domain::ledger::LedgerAccountName;
use crate::domain::page::{Cursor, Page, Stretch, cut};
use crate::domain::time::Timestamp;

/// Transactions of a shop with their facts.
const TRANSACTIONS: &str = "SELECT t.id, t.order_id, t.created_at, f.id, f.kind, f.source_kind, f.source_id \
     FROM ledger_transaction t JOIN provider_fact f ON f.id = t.fact_id WHERE t.shop_id = ?";

/// Transactions by their ids, with their facts.
const TRANSACTIONS_BY_ID: &str = "SELECT t.id, t.order_id, t.created_at, f.id, f.kind, f.source_kind, f.source_id \
     FROM ledger_transaction t JOIN provider_fact f ON f.id = t.fact_id WHERE t.id IN";

/// Of how many transactions an account may be for all of them to be listed by id.
const FEW: usize = 1_000;

impl ShopStore<'_> {
    /// Every account's movements, read in one statement: they agree with each other.
    ///
    /// # Errors
    /// The database's.
    pub async fn account_totals(&self) -> Result<Vec<AccountTotal>, StoreError> {
        let text = "SELECT a.currency, a.name, CAST(COALESCE(SUM(e.debit_minor), 0) AS BIGINT), \
                    CAST(COALESCE(SUM(e.credit_minor), 0) AS BIGINT) \
                    FROM ledger_account a LEFT JOIN ledger_entry e ON e.ledger_account_id = a.id \
                    WHERE a.shop_id = ? GROUP BY a.currency, a.name ORDER BY a.currency, a.name";
        let values: [Value; 1] = [self.shop.to_string().into()];
        let statement = sql(self.store.engine, text, values);
        let rows = self.store.reader.query_all_raw(statement).await?;
        rows.iter()
            .map(|row| {
                Ok(AccountTotal {
                    currency: parse("ledger_account.currency", &text_at(row, 0)?)?,
                    account: parse("ledger_account.name", &text_at(row, 1)?)?,
                    debit_minor: row.try_get_by_index(2)?,
                    credit_minor: row.try_get_by_index(3)?,
                })
            })
            .collect()
    }

    /// A page of transactions, newest first, and whether there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn ledger_transactions(
        &self,
        order: Option<OrderId>,
        page: &Page<LedgerTransactionId>,
    ) -> Result<(Vec<LedgerTransaction>, bool), StoreError> {
        let mut text = TRANSACTIONS.to_owned();
        let mut values: Vec<Value> = vec![self.shop.to_string().into()];
        if let Some(order) = order {
            text.push_str(" AND t.order_id = ?");
            values.push(order.to_string().into());
        }
        let (compare, direction) = match page.cursor {
            Cursor::Newest => (None, "DESC"),
            Cursor::StartingAfter(id) => (Some((" AND t.id < ?", id)), "DESC"),
            Cursor::EndingBefore(id) => (Some((" AND t.id > ?", id)), "ASC"),
        };
        if let Some((condition, id)) = compare {
            text.push_str(condition);
            values.push(id.to_string().into());
        }
        let limit = page.limit.saturating_add(1);
        text.push_str(&format!(" ORDER BY t.id {direction} LIMIT {limit}"));
        let statement = sql(self.store.engine, &text, values);
        let rows = self.store.reader.query_all_raw(statement).await?;
        let (rows, has_more) = cut(rows, page);
        let mut transactions = rows
            .iter()
            .map(transaction)
            .collect::<Result<Vec<_>, _>>()?;
        let mut entries = self.entries_of(&transactions).await?;
        for transaction in &mut transactions {
            transaction.entries = entries.remove(&transaction.id).unwrap_or_default();
        }
        Ok((transactions, has_more))
    }

    /// A page of transactions that pass a filter, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn ledger_search(
        &self,
        filter: &LedgerFilter,
        page: &Page<LedgerTransactionId>,
    ) -> Result<Stretch<LedgerTransaction, LedgerTransactionId>, StoreError> {
        use ledger_transaction::Column as C;
        let of_payment = match filter.payment {
            Some(payment) => match self.payment(payment).await? {
                Some(record) => Some((payment, record.order)),
                None => return Ok(nothing()),
            },
            None => None,
        };
        let order = match (filter.order, of_payment) {
            (Some(order), Some((_, other))) if order != other => return Ok(nothing()),
            (order, of_payment) => order.or(of_payment.map(|(_, order)| order)),
        };
        let time = made_in::<LedgerTransactionId, _>(C::Id, C::CreatedAt, filter.posted);
        let mut query = ledger_transaction::Entity::find()
            .filter(time)
            .filter(of_shop((C::ShopId, self.shop), (C::OrderId, order)));
        if let Some((payment, order)) = of_payment {
            query = query.filter(C::Id.in_subquery(with_payment(order, payment)));
        }
        let mut rest = Condition::all();
        if let Some(account) = filter.account {
            let accounts = self.account_ids(account).await?;
            match self.few_transactions(&accounts).await? {
                Some(few) => query = query.filter(C::Id.is_in(few)),
                None => rest = rest.add(Expr::exists(with_account(accounts))),
            }
        }
        let found = searched(&self.store.reader, query, rest, C::Id, page).await?;
        let ids: Vec<String> = found.rows.into_iter().map(|row| row.id).collect();
        Ok(Stretch {
            rows: self.transactions_by_id(&ids).await?,
            has_more: found.has_more,
            looked_until: found.looked_until,
        })
    }

    async fn account_ids(&self, name: LedgerAccountName) -> Result<Vec<String>, StoreError> {
        let rows = ledger_account::Entity::find()
            .filter(ledger_account::Column::ShopId.eq(self.shop.to_string()))
            .filter(ledger_account::Column::Name.eq(name.as_str()))
            .select_only()
            .column(ledger_account::Column::Id);
        Ok(rows.into_tuple().all(&self.store.reader).await?)
    }

    /// The transactions of accounts that have few of them; none for accounts that nearly every transaction is of.
    async fn few_transactions(
        &self,
        accounts: &[String],
    ) -> Result<Option<Vec<String>>, StoreError> {
        let most = u64::try_from(FEW).unwrap_or(u64::MAX);
        let ids: Vec<String> = ledger_entry::Entity::find()
            .filter(ledger_entry::Column::LedgerAccountId.is_in(accounts))
            .select_only()
            .column(ledger_entry::Column::LedgerTransactionId)
            .distinct()
            .limit(most.saturating_add(1))
            .into_tuple()
            .all(&self.store.reader)
            .await?;
        Ok((ids.len() <= FEW).then_some(ids))
    }

    /// Transactions with their entries, newest first.
    async fn transactions_by_id(
        &self,
        ids: &[String],
    ) -> Result<Vec<LedgerTransaction>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let marks = vec!["?"; ids.len()].join(", ");
        let text = format!("{TRANSACTIONS_BY_ID} ({marks}) ORDER BY t.id DESC");
        let values = ids.iter().map(|id| Value::from(id.clone()));
        let statement = sql(self.store.engine, &text, values);
        let rows = self.store.reader.query_all_raw(statement).await?;
        let mut transactions = rows
            .iter()
            .map(transaction)
            .collect::<Result<Vec<_>, _>>()?;
        let mut entries = self.entries_of(&transactions).await?;
        for transaction in &mut transactions {
            transaction.entries = entries.remove(&transaction.id).unwrap_or_default();
        }
        Ok(transactions)
    }

    /// One transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn ledger_transaction(
        &self,
        id: LedgerTransactionId,
    ) -> Result<Option<LedgerTransaction>, StoreError> {
        let text = format!("{TRANSACTIONS} AND t.id = ?");
        let values: [Value; 2] = [self.shop.to_string().into(), id.to_string().into()];
        let statement = sql(self.store.engine, &text, values);
        let Some(row) = self.store.reader.query_one_raw(statement).await? else {
            return Ok(None);
        };
        let mut found = transaction(&row)?;
        let mut entries = self.entries_of(std::slice::from_ref(&found)).await?;
        found.entries = entries.remove(&id).unwrap_or_default();
        Ok(Some(found))
    }

    async fn entries_of(
        &self,
        transactions: &[LedgerTransaction],
    ) -> Result<HashMap<LedgerTransactionId, Vec<LedgerEntry>>, StoreError> {
        if transactions.is_empty() {
            return Ok(HashMap::new());
        }
        let marks = vec!["?"; transactions.len()].join(", ");
        let text = format!(
            "SELECT e.ledger_transaction_id, e.id, a.name, a.currency, e.debit_minor, e.credit_minor, \
             e.payment_id, e.created_at FROM ledger_entry e JOIN ledger_account a \
             ON a.id = e.ledger_account_id WHERE e.ledger_transaction_id IN ({marks}) ORDER BY e.id"
        );
        let values = transactions.iter().map(|one| one.id.to_string().into());
        let statement = sql(self.store.engine, &text, values);
        let rows = self.store.reader.query_all_raw(statement).await?;
        let mut entries: HashMap<LedgerTransactionId, Vec<LedgerEntry>> = HashMap::new();
        for row in &rows {
            let id = parse("ledger_entry.transaction", &text_at(row, 0)?)?;
            entries.entry(id).or_default().push(entry(row)?);
        }
        Ok(entries)
    }
}

fn nothing() -> Stretch<LedgerTransaction, LedgerTransactionId> {
    Stretch {
        rows: Vec::new(),
        has_more: false,
        looked_until: None,
    }
}

/// The transactions of an order that have an entry of a payment.
fn with_payment(order: OrderId, payment: PaymentId) -> SelectStatement {
    Query::select()
        .column(ledger_entry::Column::LedgerTransactionId)
        .from(ledger_entry::Entity)
        .and_where(ledger_entry::Column::OrderId.eq(order.to_string()))
        .and_where(ledger_entry::Column::PaymentId.eq(payment.to_string()))
        .to_owned()
}

/// Whether the transaction at hand has an entry of one of these accounts.
fn with_account(accounts: Vec<String>) -> SelectStatement {
    let same = Expr::col((
        ledger_entry::Entity,
        ledger_entry::Column::LedgerTransactionId,
    ))
    .equals((ledger_transaction::Entity, ledger_transaction::Column::Id));
    // Not by the index of accounts: this one has many entries.
    let account = Expr::cust("\"ledger_account_id\" || ''");
    Query::select()
        .expr(Expr::val(1))
        .from(ledger_entry::Entity)
        .and_where(same)
        .and_where(ExprTrait::is_in(account, accounts))
        .to_owned()
}

fn text_at(row: &QueryResult, at: usize) -> Result<String, StoreError> {
    Ok(row.try_get_by_index(at)?)
}

fn transaction(row: &QueryResult) -> Result<LedgerTransaction, StoreError> {
    Ok(LedgerTransaction {
        id: parse("ledger_transaction.id", &text_at(row, 0)?)?,
        object: "ledger_transaction",
        order_id: parse("ledger_transaction.order_id", &text_at(row, 1)?)?,
        fact: PostedFact {
            id: parse("provider_fact.id", &text_at(row, 3)?)?,
            kind: parse("provider_fact.kind", &text_at(row, 4)?)?,
            source: text_at(row, 5)?,
            source_id: text_at(row, 6)?,
        },
        entries: Vec::new(),
        created_at: Timestamp::from_ms(row.try_get_by_index(2)?),
    })
}

fn entry(row: &QueryResult) -> Result<LedgerEntry, StoreError> {
    let currency = text_at(row, 3)?;
    let amount = |at| -> Result<_, StoreError> { money(row.try_get_by_index(at)?, &currency) };
    Ok(LedgerEntry {
        id: parse("ledger_entry.id", &text_at(row, 1)?)?,
        object: "ledger_entry",
        account: parse("ledger_account.name", &text_at(row, 2)?)?,
        debit: amount(4)?,
        credit: amount(5)?,
        currency: parse("ledger_account.currency", &currency)?,
        payment_id: parse("ledger_entry.payment_id", &text_at(row, 6)?)?,
        created_at: Timestamp::from_ms(row.try_get_by_index(7)?),
    })
}
