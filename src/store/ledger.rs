//! The ledger's tables. Entries are only ever added; balances are sums.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use entity::{ledger_account, ledger_entry, ledger_transaction};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::bulk::{Cells, Wanted};
use super::failpoint::Step;
use super::rows::parse;
use super::settle::Orders;
use super::{Store, StoreError, Tx};
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
        book.ok_or_else(|| StoreError::MissingLedgerAccounts(vec![(shop, currency)]))
    }

    /// Makes the accounts that were missing.
    pub(super) async fn make_all_books(
        &self,
        missing: Vec<(ShopId, Currency)>,
    ) -> Result<(), StoreError> {
        for (shop, currency) in missing {
            self.make_books(shop, currency).await?;
        }
        Ok(())
    }

    /// Makes a shop's accounts in a currency, once, in a transaction of their own.
    async fn make_books(&self, shop: ShopId, currency: Currency) -> Result<(), StoreError> {
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

/// What the ledger shows for orders, by payment and account: the order, then the parts of a balance.
pub(super) fn posted(orders: &Orders) -> Wanted {
    let columns = [
        "e.order_id",
        "e.payment_id",
        "a.name",
        "a.currency",
        "CAST(SUM(e.debit_minor) - SUM(e.credit_minor) AS BIGINT)",
    ];
    let (condition, values) = orders.hold("e.order_id");
    let condition = format!("{condition} GROUP BY e.order_id, e.payment_id, a.name, a.currency");
    let source = "ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id";
    Wanted::columns(&columns, source, condition, values)
}

/// Adds a row of [`posted`] to an order's balances.
pub(super) fn add_balance(balances: &mut Balances, row: &Cells) -> Result<(), StoreError> {
    let slot = (
        parse("payment_id", row.text(1)?)?,
        parse("name", row.text(2)?)?,
        parse("currency", row.text(3)?)?,
    );
    let balance: i64 = parse("balance", row.text(4)?)?;
    if balance != 0 {
        balances.insert(slot, balance);
    }
    Ok(())
}

/// The rows of one transaction for a fact.
pub(super) fn rows(
    store: &Store,
    tx: &Tx,
    shop: ShopId,
    order: OrderId,
    fact: FactId,
    postings: &[Posting],
) -> Result<(ledger_transaction::Model, Vec<ledger_entry::Model>), StoreError> {
    let now = tx.clock.now().ms();
    let id: LedgerTransactionId = tx.clock.id();
    let mut entries = Vec::with_capacity(postings.len());
    for posting in postings {
        let book = store.book(shop, posting.currency)?;
        let account = book
            .get(&posting.account)
            .ok_or_else(|| StoreError::MissingLedgerAccounts(vec![(shop, posting.currency)]))?;
        let entry: LedgerEntryId = tx.clock.id();
        entries.push(ledger_entry::Model {
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
    Ok((transaction, entries))
}
