//! The list of orders: one search box, filters with counts, saved views, pages, and the list as a file.
//!
//! The address is the list's whole state. The counts are those of the shop, each filter by itself: counting every
//! combination would take longer the more orders there are.

mod export;
pub mod query;

use std::sync::Arc;

use askama::Template;
use rocket::response::Redirect;
use rocket::{Route, State, get, routes};

use self::export::{Export, Format, Source};
use self::query::{Given, ListQuery};
use super::guard::{Desk, Staff, Viewer, shop_url};
use super::page::{Frame, Page, Section};
use super::parts::{self, Tone};
use super::state::payment_tone;
use super::trouble::Trouble;
use super::words;
use crate::domain::audit::Action;
use crate::domain::ids::OrderId;
use crate::domain::money::Money;
use crate::domain::order::{FulfilmentStatus, Order, OrderStatus, PaymentStatus};
use crate::domain::order_view::{Counted, Facet, UNPAID_HOURS};
use crate::domain::settlement::Reason;
use crate::domain::time::Timestamp;
use crate::http::problem::Problem;
use crate::http::problem_catalogue::Code;
use crate::service::Services;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![list, export_csv, export_ndjson, anywhere]
}

#[derive(Template)]
#[template(path = "orders/list.html", config = "src/staff/templates/askama.toml")]
struct ListPage {
    frame: Frame,
    query: ListQuery,
    path: String,
    views: Vec<View>,
    selects: Vec<Select>,
    active: Vec<Chip>,
    rows: Vec<Row>,
    too_much: bool,
    newer: Option<String>,
    older: Option<String>,
    csv: String,
    ndjson: String,
}

/// A saved view with its count.
struct View {
    name: &'static str,
    address: String,
    count: String,
    on: bool,
}

/// A filter with its choices.
struct Select {
    name: &'static str,
    label: &'static str,
    choices: Vec<Choice>,
}

/// One value of a filter.
struct Choice {
    value: &'static str,
    text: String,
    chosen: bool,
}

/// A filter that is on, and the address of the list without it.
struct Chip {
    text: String,
    without: String,
}

/// One order of the list.
struct Row {
    address: String,
    number: String,
    reference: Option<String>,
    placed: Timestamp,
    customer: String,
    payment: (Tone, &'static str),
    status: Option<&'static str>,
    goods: &'static str,
    review: Option<&'static str>,
    total: Money,
}

#[get("/<_>/orders?<given..>")]
async fn list(
    desk: Desk<Viewer>,
    given: Given,
    services: &State<Arc<Services>>,
) -> Result<Page<ListPage>, Trouble> {
    let query = ListQuery::read(given);
    let filter = query.filter(services.clock.now());
    let shop = &desk.shop;
    let (orders, more) = match &filter {
        Some(filter) => {
            let page = query.page();
            services
                .desk_orders(shop.id, shop.mode, filter, &page)
                .await?
        }
        None => (Vec::new(), false),
    };
    let counts = services.order_counts(shop.id, query.unpaid_hours()).await?;
    let act = desk.act(Action::OrdersView);
    let act = query
        .told()
        .into_iter()
        .fold(act, |act, (name, value)| act.with(name, value));
    services.record(act).await?;
    let path = desk.url("orders");
    let (newer, older) = neighbours(&query, &orders, more);
    let address = |list: ListQuery| list.address(&path);
    Ok(Page::new(ListPage {
        frame: desk.frame(Section::Orders).with_query(query.q.clone()),
        views: views(&query, &counts, &path),
        selects: selects(&query, &counts),
        active: chips(&query, &path),
        rows: orders.iter().map(|order| row(&desk, order)).collect(),
        too_much: filter.is_none(),
        newer: newer.map(address),
        older: older.map(address),
        csv: query.first_page().address(&format!("{path}/export.csv")),
        ndjson: query.first_page().address(&format!("{path}/export.ndjson")),
        path,
        query,
    }))
}

#[get("/<_>/orders/export.csv?<given..>")]
async fn export_csv(
    desk: Desk<Viewer>,
    given: Given,
    services: &State<Arc<Services>>,
) -> Result<Export, Trouble> {
    export(&desk, given, services, Format::Csv).await
}

#[get("/<_>/orders/export.ndjson?<given..>")]
async fn export_ndjson(
    desk: Desk<Viewer>,
    given: Given,
    services: &State<Arc<Services>>,
) -> Result<Export, Trouble> {
    export(&desk, given, services, Format::Ndjson).await
}

async fn export(
    desk: &Desk<Viewer>,
    given: Given,
    services: &Arc<Services>,
    format: Format,
) -> Result<Export, Trouble> {
    let query = ListQuery::read(given);
    let now = services.clock.now();
    // A file with more than was asked for would not show it.
    let filter = query.filter(now).filter(|_| !query.unclear);
    let filter = filter.ok_or_else(|| {
        let detail = words::orders::EXPORT_UNCLEAR;
        Trouble(Problem::new(Code::BadRequest, detail))
    })?;
    let act = desk
        .act(Action::OrdersExport)
        .with("format", format.ending());
    let act = query
        .told()
        .into_iter()
        .fold(act, |act, (name, value)| act.with(name, value));
    services.record(act).await?;
    let day: String = now.to_string().chars().take(10).collect();
    Ok(Export {
        format,
        name: format!("orders-{day}"),
        source: Source {
            services: services.clone(),
            shop: desk.shop.id,
            mode: desk.shop.mode,
            filter,
        },
    })
}

/// An order by its id alone, as it stands in mails and logs.
#[get("/orders/<id>", rank = 0)]
async fn anywhere(
    staff: Staff<Viewer>,
    id: &str,
    services: &State<Arc<Services>>,
) -> Result<Redirect, Trouble> {
    let id: OrderId = id.parse().map_err(|_| Trouble::not_found())?;
    let shop = services.shop_of_order(id).await?;
    let theirs = staff.shops.iter().any(|one| one.id == shop);
    match theirs {
        true => Ok(Redirect::to(shop_url(shop, &format!("orders/{id}")))),
        false => Err(Trouble::not_found()),
    }
}

/// The lists of the newer and the older page, where there are such pages.
fn neighbours(
    query: &ListQuery,
    orders: &[Order],
    more: bool,
) -> (Option<ListQuery>, Option<ListQuery>) {
    let (Some(first), Some(last)) = (orders.first(), orders.last()) else {
        // A page beyond the end leads back to the beginning.
        let moved = query.after.is_some() || query.before.is_some();
        return (moved.then(|| query.first_page()), None);
    };
    // `more` speaks of the direction the page was read in; where it came from, there was an order.
    let backwards = query.before.is_some();
    let newer = if backwards {
        more
    } else {
        query.after.is_some()
    };
    let older = if backwards { true } else { more };
    (
        newer.then(|| query.newer_than(first.id)),
        older.then(|| query.older_than(last.id)),
    )
}

fn row(desk: &Desk<Viewer>, order: &Order) -> Row {
    let customer = &order.customer;
    let known = [&customer.name, &customer.email];
    let known = known.into_iter().find_map(|text| text.clone());
    let refunded = Money::parse(&order.amount_refunded, order.currency);
    let refunded = refunded.unwrap_or_else(|_| Money::zero(order.currency));
    let review: Option<Reason> = order.review.as_deref().and_then(|text| text.parse().ok());
    // Where the money is says it already.
    let said =
        |one: &Reason| *one == Reason::Dispute && order.payment_status == PaymentStatus::Disputed;
    Row {
        address: desk.url(&format!("orders/{}", order.id)),
        number: order.number.clone(),
        reference: order.reference.clone(),
        placed: order.created_at,
        customer: known.unwrap_or_else(|| words::orders::NO_CUSTOMER.to_owned()),
        payment: (
            payment_tone(order.payment_status, order.status),
            words::orders::payment_told(order.payment_status, order.status, refunded),
        ),
        status: (order.status != OrderStatus::Open).then(|| words::orders::status(order.status)),
        goods: words::orders::fulfilment(order.fulfilment_status),
        review: review.filter(|one| !said(one)).map(words::orders::review),
        total: total(order),
    }
}

/// What an order costs.
pub(super) fn total(order: &Order) -> Money {
    let total = Money::parse(&order.total, order.currency);
    total.unwrap_or_else(|_| Money::zero(order.currency))
}

fn count_of(counts: &[(Facet, Counted)], wanted: Facet) -> String {
    let found = counts.iter().find(|(facet, _)| *facet == wanted);
    found.map_or_else(String::new, |(_, count)| words::orders::count(*count))
}

fn views(query: &ListQuery, counts: &[(Facet, Counted)], path: &str) -> Vec<View> {
    let views = counts.iter().filter_map(|(facet, count)| {
        let (list, on) = match facet {
            Facet::All => (ListQuery::default(), !query.is_narrowed()),
            Facet::View(view) => {
                let list = ListQuery {
                    view: Some(*view),
                    ..ListQuery::default()
                };
                (list, query.view == Some(*view))
            }
            Facet::Status(_) | Facet::Payment(_) | Facet::Fulfilment(_) => return None,
        };
        Some(View {
            name: words::orders::facet(*facet),
            address: list.address(path),
            count: words::orders::count(*count),
            on,
        })
    });
    views.collect()
}

fn selects(query: &ListQuery, counts: &[(Facet, Counted)]) -> Vec<Select> {
    let choice = |value, name: &str, facet: Option<Facet>, chosen| {
        let count = facet.map(|facet| count_of(counts, facet));
        let text = match count {
            Some(count) => format!("{name} ({count})"),
            None => name.to_owned(),
        };
        Choice {
            value,
            text,
            chosen,
        }
    };
    let payment = PaymentStatus::ALL.iter().map(|one| {
        let name = words::orders::payment_filter(*one);
        choice(
            one.as_str(),
            name,
            Some(Facet::Payment(*one)),
            query.payment == Some(*one),
        )
    });
    let status = OrderStatus::ALL.iter().map(|one| {
        let name = words::orders::status(*one);
        choice(
            one.as_str(),
            name,
            Some(Facet::Status(*one)),
            query.status == Some(*one),
        )
    });
    let goods = FulfilmentStatus::ALL.iter().map(|one| {
        let name = words::orders::fulfilment(*one);
        let facet = Facet::Fulfilment(*one);
        choice(
            one.as_str(),
            name,
            Some(facet),
            query.fulfilment == Some(*one),
        )
    });
    let review = Reason::ALL.iter().map(|one| {
        let name = words::orders::review(*one);
        choice(one.as_str(), name, None, query.review == Some(*one))
    });
    let select = |name, label, choices: Vec<Choice>| Select {
        name,
        label,
        choices,
    };
    vec![
        select("payment", words::orders::PAYMENT, payment.collect()),
        select("status", words::orders::STATUS, status.collect()),
        select("fulfilment", words::orders::FULFILMENT, goods.collect()),
        select("review", words::orders::REVIEW, review.collect()),
    ]
}

/// What the list is narrowed by, each to be taken away.
fn chips(query: &ListQuery, path: &str) -> Vec<Chip> {
    let list = query.first_page();
    let mut chips = Vec::new();
    let mut chip = |label: &str, value: Option<String>, without: ListQuery| {
        if let Some(value) = value {
            chips.push(Chip {
                text: format!("{label}: {value}"),
                without: without.address(path),
            });
        }
    };
    let text = |text: &'static str| text.to_owned();
    let of = |change: fn(&mut ListQuery)| {
        let mut list = list.clone();
        change(&mut list);
        list
    };
    let q = (!query.q.is_empty()).then(|| query.q.clone());
    chip(words::orders::SEARCH, q, of(|list| list.q.clear()));
    let view = query.view.map(words::orders::view).map(text);
    chip(words::orders::VIEWS, view, of(|list| list.view = None));
    let payment = query.payment.map(words::orders::payment_filter).map(text);
    chip(
        words::orders::PAYMENT,
        payment,
        of(|list| list.payment = None),
    );
    let status = query.status.map(words::orders::status).map(text);
    chip(words::orders::STATUS, status, of(|list| list.status = None));
    let goods = query.fulfilment.map(words::orders::fulfilment).map(text);
    chip(
        words::orders::FULFILMENT,
        goods,
        of(|list| list.fulfilment = None),
    );
    let review = query.review.map(words::orders::review).map(text);
    chip(words::orders::REVIEW, review, of(|list| list.review = None));
    chip(
        words::orders::FROM,
        query.from.clone(),
        of(|list| list.from = None),
    );
    chip(
        words::orders::TO,
        query.to.clone(),
        of(|list| list.to = None),
    );
    let hours = query.hours.map(|hours| hours.to_string());
    chip(words::orders::HOURS, hours, of(|list| list.hours = None));
    chips
}
