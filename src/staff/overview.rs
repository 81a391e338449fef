//! The first page: a shop's overview, or what to do while there is no shop.

use std::sync::Arc;

use askama::Template;
use rocket::response::Redirect;
use rocket::{Responder, Route, State, get, routes};

use super::chart::{Chart, HEIGHT, Plan, Series, Shape, Value, WIDTH, draw};
use super::guard::{Desk, Staff, Viewer, shop_url};
use super::page::{Frame, Page, Section};
use super::parts::Tone;
use super::trouble::Trouble;
use super::words::figures::{NO_VALUE, count, duration, per_mille};
use super::{parts, words};
use crate::domain::currency::Currency;
use crate::domain::money::Money;
use crate::domain::overview::{Figures, Moved, Open, Overview as Read, Spread};
use crate::domain::time::Timestamp;
use crate::service::Services;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![start, overview]
}

#[derive(Template)]
#[template(
    path = "overview/no_shop.html",
    config = "src/staff/templates/askama.toml"
)]
struct NoShop {
    frame: Frame,
}

#[derive(Template)]
#[template(
    path = "overview/overview.html",
    config = "src/staff/templates/askama.toml"
)]
struct Overview {
    frame: Frame,
    at: Timestamp,
    problems: Vec<Problem>,
    compared: Vec<Compared>,
    charts: Vec<Chart>,
}

/// Something open, and where it is looked into.
struct Problem {
    tone: Tone,
    text: &'static str,
    open: Open,
    path: String,
}

/// A figure of today beside that of last week.
struct Compared {
    name: String,
    today: String,
    last_week: String,
}

/// Where somebody begins.
#[derive(Responder)]
enum Start {
    Shop(Redirect),
    None(Page<NoShop>),
}

#[get("/")]
fn start(staff: Staff<Viewer>) -> Start {
    match staff.shops.first() {
        Some(shop) => Start::Shop(Redirect::to(shop_url(shop.id, ""))),
        None => Start::None(Page::new(NoShop {
            frame: staff.frame(Section::Own),
        })),
    }
}

#[get("/<_>")]
async fn overview(
    desk: Desk<Viewer>,
    services: &State<Arc<Services>>,
) -> Result<Page<Overview>, Trouble> {
    let read = services.overview(desk.shop.id).await?;
    Ok(Page::new(Overview {
        frame: desk.frame(Section::Overview),
        at: read.at,
        problems: problems(&read),
        compared: compared(&read),
        charts: charts(&read),
    }))
}

/// What is open, the worst first; what there is none of is left out.
fn problems(read: &Read) -> Vec<Problem> {
    let open = &read.problems;
    let reviews = open.reviews.iter().map(|(reason, open)| Problem {
        tone: Tone::Warn,
        text: words::overview::reason(*reason),
        open: *open,
        path: format!("reviews?reason={reason}"),
    });
    let others = [
        (
            Tone::Bad,
            words::overview::ORDERLESS,
            open.orderless_events,
            "webhooks?verdict=dead&reason=order_unknown",
        ),
        (
            Tone::Bad,
            words::overview::DEAD,
            open.dead_events,
            "webhooks?verdict=dead",
        ),
        (
            Tone::Bad,
            words::overview::UNKNOWN_CALLS,
            open.unknown_calls,
            "calls?status=unknown",
        ),
        (
            Tone::Bad,
            words::overview::FAILING_CALLS,
            open.failing_calls,
            "calls?tries=3",
        ),
        (
            Tone::Warn,
            words::overview::QUARANTINED,
            open.quarantined_events,
            "webhooks?verdict=quarantined",
        ),
        (
            Tone::Info,
            words::overview::PENDING,
            open.pending_events,
            "webhooks?verdict=pending",
        ),
        (
            Tone::Info,
            words::overview::UNPAID,
            open.unpaid_orders,
            "orders?view=unpaid_too_long",
        ),
    ];
    let others = others.into_iter().map(|(tone, text, open, path)| Problem {
        tone,
        text,
        open,
        path: path.to_owned(),
    });
    let all = reviews.chain(others);
    all.filter(|problem| problem.open.count > 0).collect()
}

/// Every currency that moved, in the order of their codes.
fn currencies(read: &Read) -> Vec<Currency> {
    let days = read.days.iter().map(|day| &day.figures);
    let all = days.chain([&read.today, &read.last_week]);
    let all = all.flat_map(|figures| &figures.money);
    let mut all: Vec<Currency> = all.map(|moved| moved.sales.currency()).collect();
    all.sort_by_key(|currency| currency.code());
    all.dedup();
    all
}

/// What moved in one currency.
fn of(figures: &Figures, currency: Currency) -> Moved {
    let mut all = figures.money.iter();
    let moved = all.find(|moved| moved.sales.currency() == currency);
    let zero = Money::zero(currency);
    moved.copied().unwrap_or(Moved {
        sales: zero,
        refunds: zero,
        payments: 0,
    })
}

fn compared(read: &Read) -> Vec<Compared> {
    let row = |name: String, told: &dyn Fn(&Figures) -> String| Compared {
        name,
        today: told(&read.today),
        last_week: told(&read.last_week),
    };
    let mut rows = Vec::new();
    for currency in currencies(read) {
        let named = |name: &str| format!("{name}, {currency}");
        rows.push(row(named(words::overview::SALES), &|figures| {
            parts::money_text(&of(figures, currency).sales)
        }));
        rows.push(row(named(words::overview::REFUNDS), &|figures| {
            parts::money_text(&of(figures, currency).refunds)
        }));
        rows.push(row(named(words::overview::PAYMENTS), &|figures| {
            count(&of(figures, currency).payments, &false)
        }));
    }
    let ms = |spread: Option<Spread>, of: fn(Spread) -> i64| {
        spread.map_or(NO_VALUE.to_owned(), |spread| duration(&of(spread)))
    };
    rows.push(row(words::overview::CHECKOUTS.to_owned(), &|figures| {
        count(&figures.checkouts.begun(), &figures.checkouts.more)
    }));
    rows.push(row(words::overview::SUCCESS.to_owned(), &|figures| {
        let rate = figures.checkouts.success_per_mille();
        rate.map_or(NO_VALUE.to_owned(), |rate| per_mille(&rate))
    }));
    rows.push(row(words::overview::TIME_MEDIAN.to_owned(), &|figures| {
        ms(figures.time_to_paid, |spread| spread.median_ms)
    }));
    rows.push(row(words::overview::TIME_P95.to_owned(), &|figures| {
        ms(figures.time_to_paid, |spread| spread.p95_ms)
    }));
    rows.push(row(words::overview::LAG_MEDIAN.to_owned(), &|figures| {
        ms(figures.webhook_lag, |spread| spread.median_ms)
    }));
    rows.push(row(words::overview::LAG_P95.to_owned(), &|figures| {
        ms(figures.webhook_lag, |spread| spread.p95_ms)
    }));
    rows
}

/// A day in a few letters: `28 Nov`.
fn day_name(day: Timestamp) -> String {
    let text = parts::when_text(&day);
    let mut parts = text.split(' ');
    let (day, month) = (parts.next(), parts.next());
    format!("{} {}", day.unwrap_or_default(), month.unwrap_or_default())
}

fn charts(read: &Read) -> Vec<Chart> {
    let mut charts: Vec<Chart> = currencies(read)
        .into_iter()
        .map(|currency| money_chart(read, currency))
        .collect();
    let rate = series(read, words::overview::RATE, "chart-a", |figures| {
        let rate = figures.checkouts.success_per_mille()?;
        let size = i64::try_from(rate).unwrap_or(i64::MAX);
        Some((size, per_mille(&rate)))
    });
    // A rate is drawn up to the whole, so that little below it looks like little.
    let title = words::overview::SUCCESS_BY_DAY.to_owned();
    charts.extend(chart(
        read,
        "success",
        title,
        vec![rate],
        Shape::Line(1_000),
    ));
    let time = |name, class, of: fn(Spread) -> i64| {
        series(read, name, class, |figures| {
            let ms = of(figures.time_to_paid?);
            Some((ms, duration(&ms)))
        })
    };
    let times = vec![
        time(words::overview::MEDIAN, "chart-a", |spread| {
            spread.median_ms
        }),
        time(words::overview::P95, "chart-b", |spread| spread.p95_ms),
    ];
    let title = words::overview::TIME_BY_DAY.to_owned();
    charts.extend(chart(read, "time", title, times, Shape::Line(0)));
    charts
}

fn money_chart(read: &Read, currency: Currency) -> Chart {
    let amounts = |name, class, of_moved: fn(Moved) -> Money| {
        series(read, name, class, |figures| {
            let amount = of_moved(of(figures, currency));
            Some((amount.minor(), parts::money_text(&amount)))
        })
    };
    let all = vec![
        amounts(words::overview::SALES, "chart-a", |moved| moved.sales),
        amounts(words::overview::REFUNDS, "chart-b", |moved| moved.refunds),
    ];
    let code = currency.code();
    let title = words::overview::money_by_day(code);
    drawn(read, &format!("money-{code}"), title, all, Shape::Bars)
}

fn series(
    read: &Read,
    name: &str,
    class: &'static str,
    value: impl Fn(&Figures) -> Option<(i64, String)>,
) -> Series {
    let values = read.days.iter().map(|day| value(&day.figures));
    let values = values.map(|value| value.map(|(size, text)| Value { size, text }));
    Series {
        name: name.to_owned(),
        class,
        values: values.collect(),
    }
}

/// A chart, unless there is nothing to draw.
fn chart(read: &Read, id: &str, title: String, all: Vec<Series>, shape: Shape) -> Option<Chart> {
    let mut values = all.iter().flat_map(|series| &series.values);
    let has_any = values.any(Option::is_some);
    has_any.then(|| drawn(read, id, title, all, shape))
}

fn drawn(read: &Read, id: &str, title: String, all: Vec<Series>, shape: Shape) -> Chart {
    let places: Vec<String> = read.days.iter().map(|day| day_name(day.day)).collect();
    let summary = all.first().map(|series| summary(series, &places));
    draw(Plan {
        id: id.to_owned(),
        title,
        summary: summary.unwrap_or_default(),
        places,
        series: all,
        shape,
    })
}

/// What the first series of a chart says.
fn summary(series: &Series, places: &[String]) -> String {
    let known = places.iter().zip(&series.values);
    let known = known.filter_map(|(place, value)| Some((place, value.as_ref()?)));
    let Some((place, highest)) = known.max_by_key(|(_, value)| value.size) else {
        return words::overview::NO_VALUES.to_owned();
    };
    let last = series.values.last().and_then(Option::as_ref);
    let last = last.map_or(NO_VALUE, |value| value.text.as_str());
    words::overview::summary(&highest.text, place, last)
}
