//! The ledger's tables. Entries are only ever added; balances are sums.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use entity::{ledger_account, ledger_entry, ledger_transaction};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Value};

use super::failpoint::Step;
use super::rows::{parse, sql};
use super::{Store, StoreError, Tx, bulk};
use crate::domain::currency::Currency;
use crate::domain::ids::{
    FactId, LedgerAccountId, LedgerEntryId, LedgerTransactionId, OrderId, ShopId,
};
use crate::domain::ledger::{Balances, LedgerAccountName, Posting};

type Book = BTreeMap<LedgerAccountName, String>;

/// The ids of the accounts, by shop and currency. They never change, so they are read once.
#[derive(Default)]
pub(super) struct KnownBooks(Mutex<HashMap<(ShopId, Currency), Book>>);

impl Store {
    fn book(&self, shop: ShopId, currency: Currency) -> Result<Book, StoreError> {
        let known = self.known_books.0.lock();
        let known = known.unwrap_or_else(std::sync::PoisonError::into_inner);
        let book = known.get(&(shop, currency)).cloned();
        book.ok_or(StoreError::MissingLedgerAccounts(shop, currency))
    }

    /// Makes a shop's accounts in a currency, once, in a transaction of their own.
    pub(super) async fn make_books(
        &self,
        shop: ShopId,
        currency: Currency,
    ) -> Result<(), StoreError> {
        let now = self.clock.now().ms();
        let book = self
            .write_at(Step::MakeBooks, |tx| async move {
                let rows = LedgerAccountName::ALL.iter().map(|name| {
                    let id: LedgerAccountId = tx.clock.id();
                    ledger_account::ActiveModel {
                        id: Set(id.to_string()),
                        shop_id: Set(shop.to_string()),
                        name: Set(name.to_string()),
                        currency: Set(currency.code().to_owned()),
                        created_at: Set(now),
                    }
                });
                ledger_account::Entity::insert_many(rows)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(tx.conn())
                    .await?;
                let rows = ledger_account::Entity::find()
                    .filter(ledger_account::Column::ShopId.eq(shop.to_string()))
                    .filter(ledger_account::Column::Currency.eq(currency.code()))
                    .all(tx.conn())
                    .await?;
                let mut book = Book::new();
                for row in rows {
                    book.insert(parse("ledger_account.name", &row.name)?, row.id);
                }
                Ok::<_, StoreError>(book)
            })
            .await?;
        let known = self.known_books.0.lock();
        let mut known = known.unwrap_or_else(std::sync::PoisonError::into_inner);
        known.insert((shop, currency), book);
        Ok(())
    }
}

/// What the ledger shows for an order, by payment and account.
pub(super) async fn posted(tx: &Tx, order_id: &str) -> Result<Balances, StoreError> {
    let text = "SELECT e.payment_id, a.name, a.currency, \
                CAST(SUM(e.debit_minor) - SUM(e.credit_minor) AS BIGINT) \
                FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
                WHERE e.order_id = ? GROUP BY e.payment_id, a.name, a.currency";
    let values: [Value; 1] = [order_id.into()];
    let rows = tx
        .conn()
        .query_all_raw(sql(tx.engine, text, values))
        .await?;
    let mut balances = Balances::new();
    for row in rows {
        let slot = (
            parse("payment_id", &row.try_get_by_index::<String>(0)?)?,
            parse("name", &row.try_get_by_index::<String>(1)?)?,
            parse("currency", &row.try_get_by_index::<String>(2)?)?,
        );
        let balance: i64 = row.try_get_by_index(3)?;
        if balance != 0 {
            balances.insert(slot, balance);
        }
    }
    Ok(balances)
}

/// Posts one transaction for a fact.
pub(super) async fn post(
    store: &Store,
    tx: &Tx,
    shop: ShopId,
    order: OrderId,
    fact: FactId,
    postings: &[Posting],
) -> Result<(), StoreError> {
    let now = tx.clock.now().ms();
    let id: LedgerTransactionId = tx.clock.id();
    let mut rows = Vec::with_capacity(postings.len());
    for posting in postings {
        let book = store.book(shop, posting.currency)?;
        let account = book
            .get(&posting.account)
            .ok_or(StoreError::MissingLedgerAccounts(shop, posting.currency))?;
        let entry: LedgerEntryId = tx.clock.id();
        rows.push(ledger_entry::Model {
            id: entry.to_string(),
            shop_id: shop.to_string(),
            ledger_transaction_id: id.to_string(),
            ledger_account_id: account.clone(),
            order_id: order.to_string(),
            payment_id: posting.payment.to_string(),
            debit_minor: posting.debit_minor,
            credit_minor: posting.credit_minor,
            created_at: now,
        });
    }
    let transaction = ledger_transaction::Model {
        id: id.to_string(),
        shop_id: shop.to_string(),
        order_id: order.to_string(),
        fact_id: fact.to_string(),
        created_at: now,
    };
    bulk::insert::<ledger_transaction::Entity>(tx, &[transaction]).await?;
    bulk::insert::<ledger_entry::Entity>(tx, &rows).await
}
