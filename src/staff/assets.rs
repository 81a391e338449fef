//! The style sheet and the scripts, in the program itself: no other host is ever asked.
//!
//! Their addresses carry a part of their hash, so browsers may keep them for good and still get a new one at once.

use std::sync::LazyLock;

use rocket::http::{ContentType, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::response::{self, Responder, Response};
use rocket::{Request, Route, get, routes};
use sha2::{Digest, Sha256};

use super::trouble::Trouble;

/// The style sheet.
pub const CSS: usize = 0;
/// The console's own script.
pub const SCRIPT: usize = 1;
/// htmx.
pub const HTMX: usize = 2;

/// The routes.
#[must_use]
pub fn routes() -> Vec<Route> {
    routes![serve]
}

/// A file that is served.
struct Asset {
    name: &'static str,
    content_type: ContentType,
    body: &'static str,
    tag: String,
    url: String,
}

/// Every file, in the order of the constants above; the licence goes with what it is for.
static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset(
            "till.css",
            ContentType::CSS,
            include_str!("assets/till.css"),
        ),
        asset(
            "till.js",
            ContentType::JavaScript,
            include_str!("assets/till.js"),
        ),
        asset(
            "htmx.min.js",
            ContentType::JavaScript,
            include_str!("assets/htmx.min.js"),
        ),
        asset(
            "htmx.LICENSE.txt",
            ContentType::Plain,
            include_str!("assets/htmx.LICENSE.txt"),
        ),
    ]
});

fn asset(name: &'static str, content_type: ContentType, body: &'static str) -> Asset {
    use std::fmt::Write as _;
    let digest = Sha256::digest(body);
    let hash = digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    });
    Asset {
        name,
        content_type,
        body,
        url: format!("{}/assets/{name}?v={hash}", super::BASE),
        tag: format!("\"{hash}\""),
    }
}

/// The address of a file, by its constant.
#[must_use]
pub fn url(which: usize) -> &'static str {
    ASSETS.get(which).map_or("", |asset| asset.url.as_str())
}

/// The version a browser has.
struct Has(Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Has {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let tag = request.headers().get_one("If-None-Match");
        Outcome::Success(Has(tag.map(str::to_owned)))
    }
}

/// A file, or that the browser has it already.
struct Served(&'static Asset, bool);

impl<'r> Responder<'r, 'static> for Served {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let Served(asset, known) = self;
        let mut response = Response::build();
        response
            .raw_header("ETag", asset.tag.as_str())
            .raw_header("Cache-Control", "public, max-age=31536000, immutable");
        if known {
            return response.status(Status::NotModified).ok();
        }
        let body = std::io::Cursor::new(asset.body);
        response
            .header(asset.content_type.clone())
            .sized_body(asset.body.len(), body)
            .ok()
    }
}

#[get("/assets/<name>")]
fn serve(name: &str, has: Has) -> Result<Served, Trouble> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(Trouble::not_found)?;
    let known = has.0.is_some_and(|tags| {
        tags.split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == asset.tag)
    });
    Ok(Served(asset, known))
}
