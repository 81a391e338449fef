//! An order's page: what was bought, how the total came about, where the money is, and why it is as it is.

pub mod timeline;

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use rocket::{Route, State, get, routes};

use self::timeline::{ChapterView, names_of, told};
use super::actions::Strip;
use super::guard::{Desk, Viewer};
use super::notes::Notes;
use super::page::{Frame, Page, Section};
use super::parts::{self, Tone};
use super::reviews::Banner;
use super::state::{Part, Standing, State as OrderState};
use super::trouble::Trouble;
use super::words;
use crate::domain::audit::Action;
use crate::domain::checkout::{CheckoutSession, SessionStatus};
use crate::domain::dossier::{Dossier, PaymentSheet};
use crate::domain::ids::{LineItemId, OrderId};
use crate::domain::money::Money;
use crate::domain::order::{Address, Order, OrderStatus, PaymentStatus};
use crate::domain::payment::PaymentWord;
use crate::domain::refund::RefundStatus;
use crate::domain::time::Timestamp;
use crate::service::{ServiceError, Services};

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![show]
}

#[derive(Template)]
#[template(path = "orders/order.html", config = "src/staff/templates/askama.toml")]
struct OrderPage {
    frame: Frame,
    order: Order,
    customer: String,
    total: Money,
    expires: Option<Timestamp>,
    state: OrderState,
    lines: Vec<LineView>,
    sums: Vec<Sum>,
    payments: Vec<PaymentView>,
    sessions: Vec<SessionView>,
    addresses: Vec<(&'static str, Vec<String>)>,
    others: Option<String>,
    chapters: Vec<ChapterView>,
    more: Option<String>,
    raw: String,
    strip: Strip,
    banner: Banner,
    written: Notes,
}

/// What the page shows of what can be done.
struct Doable {
    strip: Strip,
    banner: Banner,
    written: Notes,
    /// Until when disputes that are not decided can be answered, whoever has seen the question.
    due: Vec<(String, Timestamp)>,
}

impl Doable {
    async fn of(
        desk: &Desk<Viewer>,
        services: &Services,
        order: OrderId,
    ) -> Result<Doable, ServiceError> {
        let (caller, role) = (desk.caller(), desk.person().role);
        let base = desk.url(&format!("orders/{order}"));
        let standing = services.standing(&caller, order).await?;
        let csrf = &desk.staff.session.form_token;
        Ok(Doable {
            strip: Strip::of(&standing, base.clone(), role),
            banner: Banner::of(&standing, &desk.url("reviews"), role),
            due: due(&standing),
            written: Notes::of(services, &caller, order, base, (csrf, role)).await?,
        })
    }
}

/// A line of the order.
struct LineView {
    name: String,
    sku: Option<String>,
    quantity: u32,
    returned: Option<String>,
    each: Money,
    discount: Money,
    tax: Money,
    total: Money,
}

/// A line of the sum.
struct Sum {
    name: &'static str,
    amount: Money,
    strong: bool,
}

/// A payment with what went back of it.
struct PaymentView {
    id: String,
    at_provider: String,
    tone: Tone,
    status: &'static str,
    belongs: bool,
    at: Timestamp,
    /// Amounts with their names, where there is something to say.
    amounts: Vec<(&'static str, Money)>,
    failure: Option<String>,
    refunds: Vec<RefundView>,
    disputes: Vec<DisputeView>,
}

/// A refund.
struct RefundView {
    id: String,
    at_provider: Option<String>,
    tone: Tone,
    status: &'static str,
    amount: Money,
    at: Timestamp,
    origin: &'static str,
    reason: Option<&'static str>,
    failure: Option<String>,
    lines: Option<String>,
}

/// A dispute.
struct DisputeView {
    at_provider: String,
    tone: Tone,
    status: &'static str,
    taken: Money,
    at: Option<Timestamp>,
    /// Until when it can be answered.
    due: Option<Timestamp>,
}

/// A checkout session.
struct SessionView {
    id: String,
    at_provider: Option<String>,
    tone: Tone,
    status: &'static str,
    amount: Money,
    capture: &'static str,
    at: Timestamp,
    /// Until when it can be paid, while it can be.
    until: Option<Timestamp>,
}

#[get("/<_>/orders/<id>?<after>", rank = 1)]
async fn show(
    desk: Desk<Viewer>,
    id: &str,
    after: Option<&str>,
    services: &State<Arc<Services>>,
) -> Result<Page<OrderPage>, Trouble> {
    let id: OrderId = id.parse().map_err(|_| Trouble::not_found())?;
    let dossier = services.dossier(desk.shop.id, desk.shop.mode, id).await?;
    let act = desk.act(Action::OrderView).about("order", id);
    let doable = Doable::of(&desk, services, id).await?;
    let names = names_of(services, &dossier.timeline).await?;
    let page = page(&desk, dossier, after, doable, &names).ok_or_else(Trouble::not_found)?;
    services.record(act).await?;
    Ok(Page::new(page))
}

/// Until when an order can be paid, while it waits for that.
fn expires(order: &Order) -> Option<Timestamp> {
    let waits = order.status == OrderStatus::Open && order.payment_status == PaymentStatus::Unpaid;
    waits.then_some(order.expires_at)
}

/// The page of an order; nothing when the timeline has no entry `after`.
fn page(
    desk: &Desk<Viewer>,
    mut dossier: Dossier,
    after: Option<&str>,
    doable: Doable,
    names: &HashMap<String, String>,
) -> Option<OrderPage> {
    let state = Standing::of(&dossier).state();
    let entries = std::mem::take(&mut dossier.timeline);
    let (chapters, last) = told(entries, after, &mut dossier.raw, names)?;
    let order = &dossier.order;
    let path = desk.url(&format!("orders/{}", order.id));
    let known = [&order.customer.name, &order.customer.email];
    let customer = known.into_iter().find_map(|text| text.clone());
    let others = order.customer.email.as_ref().map(|email| {
        let list = super::orders::query::ListQuery {
            q: email.clone(),
            ..Default::default()
        };
        list.address(&desk.url("orders"))
    });
    let addresses = [
        (words::order::SHIPPING_ADDRESS, &order.shipping_address),
        (words::order::BILLING_ADDRESS, &order.billing_address),
    ];
    let addresses = addresses
        .into_iter()
        .filter_map(|(name, address)| Some((name, address_lines(address.as_ref()?))));
    let raw = serde_json::to_string_pretty(order);
    Some(OrderPage {
        frame: desk.frame(Section::Orders),
        strip: doable.strip,
        banner: doable.banner,
        written: doable.written,
        customer: customer.unwrap_or_else(|| words::order::NO_CUSTOMER.to_owned()),
        total: dossier.total,
        expires: expires(order),
        state,
        lines: lines(&dossier),
        sums: sums(&dossier),
        payments: dossier
            .payments
            .iter()
            .map(|sheet| payment(order, sheet, &doable.due))
            .collect(),
        sessions: dossier.sessions.iter().map(session).collect(),
        addresses: addresses.collect(),
        others,
        chapters,
        more: last.map(|last| format!("{path}?after={last}#timeline")),
        raw: raw.expect("an order's fields always serialise"),
        order: dossier.order,
    })
}

/// A decimal amount of the order, as money.
fn amount(order: &Order, text: &str) -> Money {
    let money = Money::parse(text, order.currency);
    money.unwrap_or_else(|_| Money::zero(order.currency))
}

fn lines(dossier: &Dossier) -> Vec<LineView> {
    let order = &dossier.order;
    let lines = order.line_items.iter().map(|line| {
        let returned = returned(dossier, line.id);
        LineView {
            name: line.name.clone(),
            sku: line.sku.clone(),
            quantity: line.quantity,
            returned: (returned > 0).then(|| words::order::returned(returned)),
            each: amount(order, &line.unit_price),
            discount: amount(order, &line.discount),
            tax: amount(order, &line.tax),
            total: amount(order, &line.total),
        }
    });
    lines.collect()
}

/// How many of a line were given back, or are about to be.
fn returned(dossier: &Dossier, line: LineItemId) -> u32 {
    let refunds = dossier.payments.iter().flat_map(|sheet| &sheet.refunds);
    let refunds = refunds.filter(|sheet| sheet.refund.status != RefundStatus::Failed);
    let lines = refunds.flat_map(|sheet| &sheet.refund.line_items);
    let lines = lines.filter(|returned| returned.line_item == line);
    lines.fold(0, |sum, line| sum.saturating_add(line.quantity))
}

/// How the total came about, and what became of it.
fn sums(dossier: &Dossier) -> Vec<Sum> {
    let order = &dossier.order;
    let discount = amount(order, &order.discount_total);
    let discount = Money::new(discount.minor().saturating_neg(), order.currency);
    let tax = match order.tax_included {
        true => words::order::TAX_CONTAINED,
        false => words::order::TAX,
    };
    let plain = [
        (words::order::SUBTOTAL, amount(order, &order.subtotal)),
        (words::order::DISCOUNT, discount),
        (words::order::SHIPPING, amount(order, &order.shipping_total)),
        (tax, amount(order, &order.tax_total)),
    ];
    let after = [
        (
            words::order::RESERVED,
            amount(order, &order.amount_authorized),
        ),
        (words::order::PAID, amount(order, &order.amount_paid)),
        (
            words::order::REFUNDED,
            amount(order, &order.amount_refunded),
        ),
        (
            words::order::DISPUTED,
            amount(order, &order.amount_disputed),
        ),
    ];
    let sum = |strong| {
        move |(name, amount)| Sum {
            name,
            amount,
            strong,
        }
    };
    let mut sums: Vec<Sum> = plain.into_iter().map(sum(false)).collect();
    // What is nothing needs no line, but the lines themselves.
    sums.retain(|sum| sum.name == words::order::SUBTOTAL || !sum.amount.is_zero());
    sums.push(sum(true)((words::order::TOTAL, dossier.total)));
    let after = after.into_iter().filter(|(_, amount)| !amount.is_zero());
    sums.extend(after.map(sum(false)));
    sums
}

/// Until when the order's disputes can be answered.
fn due(standing: &crate::domain::standing::Standing) -> Vec<(String, Timestamp)> {
    let open = standing.reviews.iter();
    let open = open.filter(|review| standing.taken_in(review).is_some());
    open.filter_map(|review| Some((review.subject.clone(), review.due_at?)))
        .collect()
}

fn payment(order: &Order, sheet: &PaymentSheet, due: &[(String, Timestamp)]) -> PaymentView {
    let payment = &sheet.payment;
    let tone = match payment.status {
        PaymentWord::Captured => Tone::Good,
        PaymentWord::Processing | PaymentWord::Authorized => Tone::Info,
        PaymentWord::Voided | PaymentWord::Expired => Tone::Neutral,
        PaymentWord::Failed => Tone::Bad,
    };
    let amounts = [
        (words::order::ASKED, payment.amount),
        (words::order::RESERVED, sheet.authorized),
        (words::order::CAPTURED, payment.amount_captured),
        (words::order::REFUNDED, payment.amount_refunded),
        (words::order::KEPT, sheet.fee),
    ];
    let amounts = amounts.into_iter().filter(|(_, amount)| !amount.is_zero());
    PaymentView {
        id: payment.id.to_string(),
        at_provider: payment.provider_payment_id.clone(),
        tone,
        status: words::order::payment(payment.status),
        // Money that is not there is nobody's.
        belongs: sheet.belongs || payment.amount_captured.is_zero(),
        at: payment.created_at,
        amounts: amounts.collect(),
        failure: payment.failure_code.clone(),
        refunds: sheet.refunds.iter().map(|one| refund(order, one)).collect(),
        disputes: sheet.disputes.iter().map(|one| dispute(one, due)).collect(),
    }
}

fn refund(order: &Order, sheet: &crate::domain::dossier::RefundSheet) -> RefundView {
    let refund = &sheet.refund;
    let lines: Vec<String> = refund
        .line_items
        .iter()
        .filter_map(|returned| {
            let mut lines = order.line_items.iter();
            let line = lines.find(|line| line.id == returned.line_item)?;
            Some(format!("{} × {}", returned.quantity, line.name))
        })
        .collect();
    RefundView {
        id: refund.id.to_string(),
        at_provider: refund.provider_refund_id.clone(),
        tone: match refund.status {
            RefundStatus::Pending => Tone::Info,
            RefundStatus::Succeeded => Tone::Good,
            RefundStatus::Failed => Tone::Bad,
        },
        status: words::order::refund(refund.status),
        amount: refund.amount,
        at: refund.created_at,
        origin: words::order::origin(sheet.origin),
        reason: refund.reason.map(words::order::refund_reason),
        failure: refund.failure_reason.clone(),
        lines: (!lines.is_empty()).then(|| lines.join(", ")),
    }
}

fn dispute(
    sheet: &crate::domain::dossier::DisputeSheet,
    due: &[(String, Timestamp)],
) -> DisputeView {
    let mut known = due.iter();
    let known = known.find(|(id, _)| *id == sheet.state.object);
    let tone = match (sheet.state.is_open(), sheet.state.is_lost()) {
        (true, _) => Tone::Warn,
        (false, true) => Tone::Bad,
        (false, false) => Tone::Good,
    };
    DisputeView {
        at_provider: sheet.state.object.clone(),
        tone,
        status: words::order::dispute(&sheet.state),
        taken: sheet.taken,
        at: sheet.opened_at,
        due: known.map(|(_, at)| *at),
    }
}

fn session(session: &CheckoutSession) -> SessionView {
    SessionView {
        id: session.id.to_string(),
        at_provider: session.provider_session_id.clone(),
        tone: match session.status {
            SessionStatus::Failed => Tone::Bad,
            SessionStatus::Creating | SessionStatus::Open | SessionStatus::Processing => Tone::Info,
            // What became of the money is the payment's to say.
            SessionStatus::Complete | SessionStatus::Expired => Tone::Neutral,
        },
        status: words::order::session(session.status),
        amount: session.amount,
        capture: words::order::capture(session.capture),
        at: session.created_at,
        until: matches!(
            session.status,
            SessionStatus::Creating | SessionStatus::Open
        )
        .then_some(session.expires_at),
    }
}

/// An address as it is written on a parcel.
fn address_lines(address: &Address) -> Vec<String> {
    let town = [&address.postal_code, &address.city, &address.state];
    let town: Vec<&str> = town.into_iter().flatten().map(String::as_str).collect();
    let town = (!town.is_empty()).then(|| town.join(" "));
    let lines = [
        address.name.clone(),
        address.line1.clone(),
        address.line2.clone(),
        town,
        address.country.clone(),
        address.phone.clone(),
    ];
    lines.into_iter().flatten().collect()
}
