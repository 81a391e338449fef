//! Pages: a template in the console's layout.
//!
//! Every page's template has a field `frame` and extends `layout.html`.

use askama::Template;
use rocket::Request;
use rocket::http::{ContentType, Status};
use rocket::response::{self, Responder, Response};

use super::guard::shop_url;
use super::parts::Tone;
use super::trouble::Trouble;
use super::{assets, words};
use crate::domain::access::Mode;
use crate::domain::staff::Role;
use crate::http::problem::Problem;
use crate::service::staff::{Session, ShopRecord, StaffRecord};

/// A page as it is sent, with its status.
pub struct Page<T>(Status, T);

impl<T: Template> Page<T> {
    /// A page that shows what was asked for.
    pub fn new(template: T) -> Page<T> {
        Page(Status::Ok, template)
    }

    /// A page drawn again because what was typed is not good.
    pub fn again(template: T) -> Page<T> {
        Page(Status::UnprocessableEntity, template)
    }

    /// A page with another status.
    pub fn with_status(status: Status, template: T) -> Page<T> {
        Page(status, template)
    }
}

impl<'r, T: Template> Responder<'r, 'static> for Page<T> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match html(&self.1) {
            Ok(mut response) => {
                response.set_status(self.0);
                Ok(response)
            }
            Err(error) => Trouble(Problem::internal(&error)).respond_to(request),
        }
    }
}

/// A template as HTML.
pub(super) fn html(template: &impl Template) -> Result<Response<'static>, askama::Error> {
    let html = template.render()?.into_bytes();
    Ok(Response::build()
        .header(ContentType::HTML)
        // With it, browsers name their origin to us, and nobody else learns the address.
        .raw_header("Referrer-Policy", "same-origin")
        .raw_header("Cross-Origin-Opener-Policy", "same-origin")
        .sized_body(html.len(), std::io::Cursor::new(html))
        .finalize())
}

/// A page of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The overview of a shop.
    Overview,
    /// Orders.
    Orders,
    /// The review queue.
    Reviews,
    /// Payments.
    Payments,
    /// Refunds.
    Refunds,
    /// What providers sent.
    Webhooks,
    /// What was sent to providers.
    Calls,
    /// The ledger.
    Ledger,
    /// What `till verify` found.
    Findings,
    /// A page of the person, not of a shop.
    Own,
}

impl Section {
    /// The key that leads to the page after `g`.
    #[must_use]
    pub fn key(self) -> Option<char> {
        match self {
            Section::Overview => Some('h'),
            Section::Orders => Some('o'),
            Section::Reviews => Some('r'),
            Section::Payments => Some('p'),
            Section::Webhooks => Some('w'),
            Section::Refunds
            | Section::Calls
            | Section::Ledger
            | Section::Findings
            | Section::Own => None,
        }
    }

    /// Whether something new begins with the page: first orders, then what moved money, then the books.
    #[must_use]
    pub fn begins_group(self) -> bool {
        matches!(self, Section::Payments | Section::Ledger)
    }
}

/// The navigation of a shop: each page, its path below the shop's, and its name.
const PAGES: [(Section, &str, &str); 9] = [
    (Section::Overview, "", words::layout::OVERVIEW),
    (Section::Orders, "orders", words::layout::ORDERS),
    (Section::Reviews, "reviews", words::layout::REVIEWS),
    (Section::Payments, "payments", words::layout::PAYMENTS),
    (Section::Refunds, "refunds", words::layout::REFUNDS),
    (Section::Webhooks, "webhooks", words::layout::WEBHOOKS),
    (Section::Calls, "calls", words::layout::CALLS),
    (Section::Ledger, "ledger", words::layout::LEDGER),
    (Section::Findings, "findings", words::layout::FINDINGS),
];

/// What the layout shows around a page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Who is signed in.
    pub person: Option<StaffRecord>,
    /// What forms of the session carry.
    pub csrf: String,
    /// The shops they may see.
    pub shops: Vec<ShopRecord>,
    /// The shop of the page.
    pub shop: Option<ShopRecord>,
    /// Where the page stands in the navigation.
    pub section: Section,
    /// What was done just before, in words.
    pub done: Option<(Tone, &'static str)>,
    /// What stands in the search box.
    pub query: String,
    /// How many questions of the shop wait for an answer.
    pub open_reviews: u64,
}

/// How what was done went: only what is over and as it was wanted is good.
fn tone_of(code: &str) -> Tone {
    match code {
        "unknown" | "refund-pending" | "cancelling" => Tone::Info,
        "refund-failed" | "captured-instead" => Tone::Warn,
        "unchanged" => Tone::Neutral,
        _ => Tone::Good,
    }
}

impl Frame {
    /// Around a page for nobody in particular.
    #[must_use]
    pub fn for_nobody() -> Frame {
        Frame {
            person: None,
            csrf: String::new(),
            shops: Vec::new(),
            shop: None,
            section: Section::Own,
            done: None,
            query: String::new(),
            open_reviews: 0,
        }
    }

    /// Around a page for somebody.
    #[must_use]
    pub fn of(session: &Session, shops: Vec<ShopRecord>, section: Section) -> Frame {
        Frame {
            person: Some(session.person.clone()),
            csrf: session.form_token.clone(),
            shop: shops.first().cloned(),
            shops,
            section,
            ..Frame::for_nobody()
        }
    }

    /// Around a page of a shop.
    #[must_use]
    pub fn in_shop(mut self, shop: ShopRecord) -> Frame {
        self.shop = Some(shop);
        self
    }

    /// With how many questions of the shop wait for an answer.
    #[must_use]
    pub fn with_open_reviews(mut self, count: u64) -> Frame {
        self.open_reviews = count;
        self
    }

    /// With what was done just before, by its code.
    #[must_use]
    pub fn with_done(mut self, code: Option<&str>) -> Frame {
        self.done = code.and_then(|code| Some((tone_of(code), words::parts::done(code)?)));
        self
    }

    /// With what was searched for.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Frame {
        self.query = query.into();
        self
    }

    /// An address within the shop of the page, such as `orders`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match &self.shop {
            Some(shop) => shop_url(shop.id, path),
            None => super::BASE.to_owned(),
        }
    }

    /// The same page of another shop, as far as there is one.
    #[must_use]
    pub fn shop_url(&self, shop: &ShopRecord) -> String {
        let page = PAGES.iter().find(|(section, ..)| *section == self.section);
        shop_url(shop.id, page.map_or("", |(_, path, _)| path))
    }

    /// The navigation.
    #[must_use]
    pub fn pages(&self) -> &'static [(Section, &'static str, &'static str)] {
        &PAGES
    }

    /// How many things wait on a page of the navigation; none where nothing does.
    #[must_use]
    pub fn waiting(&self, section: &Section) -> Option<u64> {
        let count = Some(self.open_reviews).filter(|count| *count > 0);
        count.filter(|_| *section == Section::Reviews)
    }

    /// Whether the page shows a shop in which nothing real moves.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.section != Section::Own
            && self
                .shop
                .as_ref()
                .is_some_and(|shop| shop.mode == Mode::Test)
    }

    /// Whether the person manages people.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.may(Role::Admin)
    }

    /// Whether the person's role includes another one: what they may not do is not offered.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.person
            .as_ref()
            .is_some_and(|person| person.role.includes(role))
    }

    /// Where the style sheet is.
    #[must_use]
    pub fn css(&self) -> &'static str {
        assets::url(assets::CSS)
    }

    /// Where the script is.
    #[must_use]
    pub fn script(&self) -> &'static str {
        assets::url(assets::SCRIPT)
    }

    /// Where htmx is.
    #[must_use]
    pub fn htmx(&self) -> &'static str {
        assets::url(assets::HTMX)
    }
}
