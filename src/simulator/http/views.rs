//! What the customer's pages show, and the cards that they take.
use askama::Template;

use crate::simulator::acts::pay::Card;
use crate::simulator::money;
use crate::simulator::objects::charge::Decline;
use crate::simulator::objects::session::{Session, SessionStatus};

/// The cards with a meaning; no other number is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestCard {
    /// Pays.
    Pays,
    /// The bank refuses without a reason.
    Declined,
    /// The bank asks the customer first.
    Confirms,
    /// The bank refuses for lack of money.
    InsufficientFunds,
}

impl TestCard {
    /// The card with the number, spaces and dashes aside.
    pub fn of_number(number: &str) -> Option<TestCard> {
        let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        match digits.as_str() {
            "4242424242424242" => Some(TestCard::Pays),
            "4000000000000002" => Some(TestCard::Declined),
            // The second is no number a card may have; it was once shown on the page.
            "4000002500003155" | "4000002760003155" => Some(TestCard::Confirms),
            "4000000000009995" => Some(TestCard::InsufficientFunds),
            _ => None,
        }
    }

    /// What the charge shows of it.
    pub fn card(self) -> Card {
        let last4 = match self {
            TestCard::Pays => "4242",
            TestCard::Declined => "0002",
            TestCard::Confirms => "3155",
            TestCard::InsufficientFunds => "9995",
        };
        Card {
            last4: last4.to_owned(),
            email: None,
        }
    }

    /// The bank's refusal, if it refuses.
    pub fn decline(self) -> Option<Decline> {
        let (reason, message) = match self {
            TestCard::Declined => ("generic_decline", "Your card was declined."),
            TestCard::InsufficientFunds => {
                ("insufficient_funds", "Your card has insufficient funds.")
            }
            TestCard::Pays | TestCard::Confirms => return None,
        };
        Some(Decline {
            code: "card_declined".into(),
            decline_code: Some(reason.into()),
            message: message.into(),
        })
    }
}

/// The card that always pays.
pub fn paying_card() -> Card {
    TestCard::Pays.card()
}

/// The customer's failed confirmation.
pub fn failed_confirmation() -> Decline {
    Decline {
        code: "payment_intent_authentication_failure".into(),
        decline_code: None,
        message: "We are unable to authenticate your payment method. Please try another card."
            .into(),
    }
}

/// A line as it is shown.
pub struct LineView {
    name: String,
    quantity: i64,
    amount: String,
}

/// The page on which a session is paid.
#[derive(Template)]
#[template(path = "pay.html", config = "src/simulator/templates/askama.toml")]
pub struct PayPage {
    id: String,
    lines: Vec<LineView>,
    total: String,
    cancel_url: Option<String>,
    email: String,
    error: Option<String>,
}

impl PayPage {
    /// The page of a session, with what went wrong on the try before.
    pub fn new(session: &Session, error: Option<String>) -> PayPage {
        let line = |line: &crate::simulator::objects::session::Line| LineView {
            name: line.name.clone(),
            quantity: line.quantity,
            amount: money::display(line.amount, &session.currency),
        };
        PayPage {
            id: session.id.clone(),
            lines: session.lines.iter().map(line).collect(),
            total: money::display(session.amount_total, &session.currency),
            cancel_url: session
                .cancel_url
                .as_deref()
                .map(|url| returning(url, &session.id)),
            email: session.customer_email.clone().unwrap_or_default(),
            error,
        }
    }
}

/// The bank's question.
#[derive(Template)]
#[template(path = "confirm.html", config = "src/simulator/templates/askama.toml")]
pub struct ConfirmPage {
    id: String,
    total: String,
}

impl ConfirmPage {
    /// The question about a session.
    pub fn new(session: &Session) -> ConfirmPage {
        let total = money::display(session.amount_total, &session.currency);
        ConfirmPage {
            id: session.id.clone(),
            total,
        }
    }
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "notice.html", config = "src/simulator/templates/askama.toml")]
pub struct NoticePage {
    title: String,
    text: String,
    link: Option<(String, String)>,
}

impl NoticePage {
    /// Why a session can't be paid, if so.
    pub fn closed(session: &Session) -> Option<NoticePage> {
        match session.status {
            SessionStatus::Open => None,
            SessionStatus::Complete => Some(NoticePage {
                title: "Already paid".into(),
                text: "This payment is complete. There is nothing more to do.".into(),
                link: Some((success_url(session), "Continue".into())),
            }),
            SessionStatus::Expired => Some(NoticePage {
                title: "This page has expired".into(),
                text: "The payment was not made in time. Nothing was charged.".into(),
                link: session
                    .cancel_url
                    .as_deref()
                    .map(|url| (returning(url, &session.id), "Back to the shop".into())),
            }),
        }
    }

    /// For addresses of no session.
    pub fn not_found() -> NoticePage {
        let text = "There is no payment at this address.".into();
        NoticePage {
            title: "Not found".into(),
            text,
            link: None,
        }
    }
}

/// Where the customer goes after paying.
pub fn success_url(session: &Session) -> String {
    returning(&session.success_url, &session.id)
}

fn returning(url: &str, id: &str) -> String {
    url.replace("{CHECKOUT_SESSION_ID}", id)
}

/// Nothing is loaded from anywhere. There is no `form-action`: browsers apply it to the redirect to
/// the shop after paying, too.
pub const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
