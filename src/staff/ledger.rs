//! The ledger: the trial balance, transactions with their entries, their export, and checks of orders and books.

use std::sync::Arc;

use askama::Template;
use rocket::http::{ContentType, Header};
use rocket::response::stream::ByteStream;
use rocket::{FromForm, Responder, Route, State, get, post, routes};

use super::csrf::Csrf;
use super::guard::{Desk, Finance, Rung, Viewer};
use super::ledger_csv;
use super::listing::{Asked, Filter, Ways, nothing, page_of};
use super::page::{Frame, Page, Section};
use super::parts::Tone;
use super::trouble::Trouble;
use super::{parts, words};
use crate::domain::audit::Action;
use crate::domain::books::{LedgerFilter, LedgerTransaction, TrialBalance};
use crate::domain::ids::{LedgerTransactionId, OrderId, ShopId};
use crate::domain::ledger::LedgerAccountName;
use crate::domain::money::Money;
use crate::domain::page::{Cursor, Page as Wanted};
use crate::domain::staff::Role;
use crate::domain::verify::{Finding, Report};
use crate::service::Services;
use crate::service::verify::ORDERS_CHECKED_AT_ONCE;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![list, export, findings, check]
}

/// How many transactions an export reads at once.
const EXPORTED_AT_ONCE: u64 = 500;

#[derive(Template)]
#[template(
    path = "ledger/ledger.html",
    config = "src/staff/templates/askama.toml"
)]
struct LedgerPage {
    frame: Frame,
    filter: Filter,
    ways: Ways,
    rows: Vec<LedgerTransaction>,
    /// Only on the list's first page without a filter: it adds up everything there ever was.
    balance: Option<TrialBalance>,
    export: String,
}

#[derive(Template)]
#[template(
    path = "findings/findings.html",
    config = "src/staff/templates/askama.toml"
)]
struct FindingsPage {
    frame: Frame,
    report: Option<Report>,
    /// The last order that was checked, when there may be older ones.
    last: Option<OrderId>,
}

/// What a debit and a credit come to together.
fn difference(debit: &Money, credit: &Money) -> Money {
    let minor = debit.minor().saturating_sub(credit.minor());
    Money::new(minor, debit.currency())
}

/// The page of what a finding is about, if it has one.
fn page_of_finding(finding: &Finding) -> Option<&'static str> {
    match finding.table {
        "order" => Some("orders"),
        "payment" => Some("payments"),
        "refund" => Some("refunds"),
        "provider_event" => Some("webhooks"),
        "provider_call" => Some("calls"),
        _ => None,
    }
}

async fn filter_of<R: Rung>(
    desk: &Desk<R>,
    asked: &Asked,
    services: &Arc<Services>,
) -> Result<(Filter, LedgerFilter), Trouble> {
    let mut filter = Filter::new(desk.url("ledger"));
    let names = LedgerAccountName::ALL.iter();
    let names = names.map(|name| (name.as_str(), words::ledger::account(*name)));
    let wanted = LedgerFilter {
        account: filter.chosen(
            "account",
            words::ledger::ACCOUNT,
            asked.account.as_ref(),
            names.collect(),
        ),
        order: filter.order(services, desk.shop.id, asked).await?,
        payment: filter.typed(
            "payment",
            words::ledger::PAYMENT,
            asked.payment.as_ref(),
            |text| text.parse().ok(),
        ),
        posted: filter.days(asked),
    };
    Ok((filter, wanted))
}

#[get("/<_>/ledger?<asked..>")]
async fn list(
    desk: Desk<Viewer>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Page<LedgerPage>, Trouble> {
    let shop = desk.shop.id;
    let (mut filter, wanted) = filter_of(&desk, &asked, services).await?;
    let page = page_of(&asked);
    let found = match filter.is_good() {
        true => services.ledger_search(shop, &wanted, &page).await?,
        false => nothing(),
    };
    let ways = Ways::of(&filter, &page, &found, |transaction| transaction.id);
    let is_start = !filter.is_on() && page.cursor == Cursor::Newest;
    let balance = match is_start {
        true => Some(services.books(shop).await?),
        false => None,
    };
    let list = std::mem::replace(&mut filter.action, desk.url("ledger/transactions.csv"));
    let export = filter.address(None);
    filter.action = list;
    Ok(Page::new(LedgerPage {
        frame: desk.frame(Section::Ledger),
        ways,
        rows: found.rows,
        balance,
        export,
        filter,
    }))
}

/// A file that is sent as it is read.
#[derive(Responder)]
struct Download<S> {
    body: ByteStream<S>,
    kind: ContentType,
    name: Header<'static>,
}

#[get("/<_>/ledger/transactions.csv?<asked..>")]
async fn export(
    desk: Desk<Finance>,
    asked: Asked,
    services: &State<Arc<Services>>,
) -> Result<Download<impl futures::Stream<Item = Vec<u8>> + use<>>, Trouble> {
    let (filter, wanted) = filter_of(&desk, &asked, services).await?;
    if !filter.is_good() {
        return Err(Trouble::not_found());
    }
    let mut act = desk.act(Action::LedgerExport);
    for field in filter.fields.iter().filter(|field| !field.value.is_empty()) {
        act = act.with(field.name, field.value.clone());
    }
    services.record(act).await?;
    let day = services.clock.now().to_string();
    let day = day.get(..10).unwrap_or_default();
    let name = format!("attachment; filename=\"ledger-{day}.csv\"");
    Ok(Download {
        body: ByteStream(lines(services.inner().clone(), desk.shop.id, wanted)),
        kind: ContentType::CSV,
        name: Header::new("Content-Disposition", name),
    })
}

/// The lines of an export, read page by page. The answer has begun when the database fails, so the file itself says
/// that it is not complete.
fn lines(
    services: Arc<Services>,
    shop: ShopId,
    wanted: LedgerFilter,
) -> impl futures::Stream<Item = Vec<u8>> {
    let begin = (Some(Cursor::Newest), services);
    let pages = futures::stream::unfold(begin, move |(cursor, services)| async move {
        let page = Wanted {
            limit: EXPORTED_AT_ONCE,
            cursor: cursor?,
        };
        let Ok(found) = services.ledger_search(shop, &wanted, &page).await else {
            let marked = format!("{}\r\n", words::ledger::EXPORT_INCOMPLETE);
            return Some((marked.into_bytes(), (None, services)));
        };
        let last = found.rows.last().map(|transaction| transaction.id);
        let on: Option<LedgerTransactionId> = match found.has_more {
            true => last,
            false => found.looked_until,
        };
        let text = ledger_csv::rows(&found.rows);
        Some((text.into_bytes(), (on.map(Cursor::StartingAfter), services)))
    });
    let head = futures::stream::once(std::future::ready(ledger_csv::head().into_bytes()));
    futures::StreamExt::chain(head, pages)
}

#[get("/<_>/findings")]
fn findings(desk: Desk<Viewer>) -> Page<FindingsPage> {
    Page::new(FindingsPage {
        frame: desk.frame(Section::Findings),
        report: None,
        last: None,
    })
}

/// Where a check is to begin.
#[derive(FromForm)]
struct Check {
    // It changes nothing, so that doing it twice is as good as once.
    #[field(default = String::new())]
    #[expect(
        dead_code,
        reason = "every form carries it, and unknown fields are refused"
    )]
    idempotency_key: String,
    before: Option<String>,
}

#[post("/<_>/findings", data = "<form>")]
async fn check(
    desk: Desk<Finance>,
    form: Csrf<Check>,
    services: &State<Arc<Services>>,
) -> Result<Page<FindingsPage>, Trouble> {
    let before = match form.0.before.as_deref() {
        None | Some("") => None,
        Some(id) => Some(id.parse().map_err(|_| Trouble::not_found())?),
    };
    let (report, last) = services.verify_shop(desk.shop.id, before).await?;
    let act = desk
        .act(Action::LedgerVerify)
        .with("broken", report.broken());
    services.record(act).await?;
    Ok(Page::new(FindingsPage {
        frame: desk.frame(Section::Findings),
        report: Some(report),
        last,
    }))
}
