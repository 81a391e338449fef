//! `/docs`: the API document as a page for people.
//!
//! It is rendered here, once, from the document itself, so the two cannot differ. The page needs no script, no
//! picture and nothing from anywhere else: its one style sheet is in it, and its policy allows nothing more.

mod page;
mod schema;

use std::sync::OnceLock;

use base64::prelude::{BASE64_STANDARD, Engine};
use rocket::http::ContentType;
use rocket::response::{self, Responder, Response};
use rocket::{Request, State};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");

/// The page, rendered at its first request.
#[derive(Default)]
pub struct Docs(OnceLock<Rendered>);

struct Rendered {
    html: String,
    policy: String,
}

impl Rendered {
    fn new() -> Self {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        Self {
            html: page::html(STYLE),
            policy: format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }
}

/// The page as it is sent.
pub struct Page<'r>(&'r Rendered);

impl<'r> Responder<'r, 'r> for Page<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        Response::build_from(self.0.html.as_str().respond_to(request)?)
            .header(ContentType::HTML)
            .raw_header("Content-Security-Policy", self.0.policy.as_str())
            .raw_header("Cache-Control", "public, max-age=300")
            .ok()
    }
}

/// This document for people
///
/// One page that needs nothing from elsewhere.
#[utoipa::path(
    get, path = "/docs", tag = "Documents", operation_id = "docs",
    responses((status = 200, description = "The API reference", body = String, content_type = "text/html")),
    security(()),
)]
#[rocket::get("/docs")]
pub fn read(docs: &State<Docs>) -> Page<'_> {
    Page(docs.inner().0.get_or_init(Rendered::new))
}
