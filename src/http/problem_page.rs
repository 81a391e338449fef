//! `/problems/<code>`: the page a problem's `type` points at, and the list of all.
//!
//! One self-contained page without scripts, images or anything from elsewhere; the same as JSON for programs.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use rocket::http::{Accept, ContentType};
use rocket::response::{self, Responder, Response};
use rocket::{Request, Route, get, routes};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::problem_catalogue::Code;

/// The routes, to be mounted at `/problems`.
pub fn routes() -> Vec<Route> {
    routes![index, page]
}

/// A code of the catalogue, as JSON.
#[derive(Debug, Serialize)]
struct Described {
    #[serde(rename = "type")]
    kind: String,
    code: &'static str,
    status: u16,
    title: &'static str,
    help: &'static str,
}

impl From<Code> for Described {
    fn from(code: Code) -> Self {
        let entry = code.entry();
        Self {
            kind: format!("/problems/{}", entry.code),
            code: entry.code,
            status: entry.status,
            title: entry.title,
            help: entry.help,
        }
    }
}

/// All codes, as JSON.
#[derive(Debug, Serialize)]
struct List {
    object: &'static str,
    data: Vec<Described>,
}

#[get("/")]
fn index(accept: Option<&Accept>) -> Page {
    let all = Code::ALL.iter().copied();
    if prefers_json(accept) {
        return Page::json(&List {
            object: "list",
            data: all.map(Described::from).collect(),
        });
    }
    let mut rows = String::new();
    for entry in all.map(Code::entry) {
        let (status, code, title) = (entry.status, escape(entry.code), escape(entry.title));
        let _ = write!(
            rows,
            r#"<li><a href="/problems/{code}"><span class="status">{status}</span><span><code>{code}</code><br>{title}</span></a></li>"#
        );
    }
    Page::html(
        "Problems",
        &format!(
            "<h1>Problems</h1><p>Every code Till can answer with, and what to do about it.</p><ul>{rows}</ul>"
        ),
    )
}

#[get("/<code>")]
fn page(code: &str, accept: Option<&Accept>) -> Result<Page, Problem> {
    let code = Code::find(code).ok_or_else(Problem::not_found)?;
    if prefers_json(accept) {
        return Ok(Page::json(&Described::from(code)));
    }
    let entry = code.entry();
    let (title, help) = (escape(entry.title), prose(entry.help));
    Ok(Page::html(
        entry.title,
        &format!(
            r#"<nav><a href="/problems">All problems</a></nav><h1>{title}</h1><p class="facts"><span class="status">{}</span><code>{}</code></p><p>{help}</p>"#,
            entry.status,
            escape(entry.code),
        ),
    ))
}

/// Whether a program asks: what names JSON, and not HTML at least as dearly.
fn prefers_json(accept: Option<&Accept>) -> bool {
    let weight = |wanted: fn(&str) -> bool| {
        accept
            .into_iter()
            .flat_map(|accept| accept.iter())
            .filter(|given| wanted(given.media_type().sub().as_str()))
            .map(|given| given.weight_or(1.0))
            .fold(0.0, f32::max)
    };
    weight(|sub| matches!(sub, "json" | "problem+json"))
        > weight(|sub| matches!(sub, "html" | "xhtml+xml"))
}

/// A page of the catalogue, in the form that was asked for.
struct Page {
    content_type: ContentType,
    policy: String,
    body: String,
}

impl Page {
    fn json(described: &impl Serialize) -> Self {
        let body =
            serde_json::to_string(described).expect("the catalogue is plain text and numbers");
        let policy = "default-src 'none'; frame-ancestors 'none'".to_owned();
        Self {
            content_type: ContentType::JSON,
            policy,
            body,
        }
    }

    fn html(title: &str, content: &str) -> Self {
        let title = escape(title);
        let body = format!(
            r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Till</title><style>{STYLE}</style></head><body><main>{content}</main></body></html>"#
        );
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self {
            content_type: ContentType::HTML,
            policy,
            body,
        }
    }
}

impl<'r> Responder<'r, 'static> for Page {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        Response::build_from(self.body.respond_to(request)?)
            .header(self.content_type)
            .raw_header("Content-Security-Policy", self.policy)
            .raw_header("Cache-Control", "public, max-age=3600")
            .raw_header("Vary", "Accept")
            .ok()
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Advice with what stands between backticks set as code.
pub(super) fn prose(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        html.push_str(&if index % 2 == 1 {
            format!("<code>{part}</code>")
        } else {
            part
        });
    }
    html
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2733;--soft:#5b6875;--line:#dfe4ea;--back:#f7f8fa;--card:#fff;--mark:#0b6b57}\
@media (prefers-color-scheme:dark){:root{--ink:#e6eaef;--soft:#9aa7b4;--line:#2b343e;--back:#12171c;--card:#191f26;--mark:#5fd0b4}}\
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.6 system-ui,sans-serif}\
main{max-width:42rem;margin:0 auto;padding:3rem 1.25rem}\
h1{font-size:1.75rem;line-height:1.25;margin:.5rem 0 1rem}\
p{margin:0 0 1rem}nav{font-size:.9rem}a{color:var(--mark)}\
code{font:.9em ui-monospace,monospace;background:var(--card);border:1px solid var(--line);border-radius:.3rem;padding:.1em .35em}\
.facts{display:flex;gap:.75rem;align-items:center;color:var(--soft)}\
.status{font:600 .9rem ui-monospace,monospace;color:var(--mark)}\
ul{list-style:none;margin:1.5rem 0 0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:.6rem;overflow:hidden}\
li+li{border-top:1px solid var(--line)}\
li a{display:flex;gap:1rem;align-items:baseline;padding:.7rem 1rem;color:inherit;text-decoration:none}\
li a:hover,li a:focus-visible{background:var(--back)}\
li code{background:none;border:0;padding:0;font-weight:600}";
