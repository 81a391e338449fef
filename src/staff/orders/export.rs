//! A list of orders as a file: CSV for spreadsheets, NDJSON for programs.
//!
//! Orders are read page by page while the file is sent, so a file of any length takes the memory of one page. When
//! reading fails the transfer is broken off, so that half a file is not taken for a whole one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rocket::Request;
use rocket::http::ContentType;
use rocket::response::{self, Responder, Response};
use rocket::tokio::io::{AsyncRead, ReadBuf};

use crate::domain::access::Mode;
use crate::domain::ids::{OrderId, ShopId};
use crate::domain::order::{Order, OrderFilter};
use crate::domain::page::{Cursor, Page};
use crate::service::{ServiceError, Services};

/// How many orders are read at once.
const AT_ONCE: u64 = 200;
/// How much of the file is sent at once, in bytes.
const CHUNK: usize = 32 * 1_024;

/// The columns of the CSV file. Amounts are plain decimals in the currency of their row.
const COLUMNS: [&str; 22] = [
    "id",
    "number",
    "reference",
    "placed_at",
    "status",
    "payment_status",
    "fulfilment_status",
    "review",
    "currency",
    "subtotal",
    "discount",
    "shipping",
    "tax",
    "tax_included",
    "total",
    "authorized",
    "paid",
    "refunded",
    "disputed",
    "customer_email",
    "customer_name",
    "items",
];

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180.
    Csv,
    /// One order as JSON a line, as the API gives it.
    Ndjson,
}

impl Format {
    /// The ending of the file's name.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        }
    }

    fn content_type(self) -> ContentType {
        match self {
            Format::Csv => ContentType::CSV,
            Format::Ndjson => ContentType::new("application", "x-ndjson"),
        }
    }

    /// What stands before the first order.
    fn head(self) -> Vec<u8> {
        match self {
            Format::Csv => {
                // Spreadsheets take a file for UTF-8 only when it begins with this mark.
                let mut head = "\u{feff}".as_bytes().to_vec();
                head.extend(csv_rows([COLUMNS.map(str::to_owned).to_vec()]));
                head
            }
            Format::Ndjson => Vec::new(),
        }
    }

    fn rows(self, orders: &[Order]) -> Vec<u8> {
        match self {
            Format::Csv => csv_rows(orders.iter().map(cells)),
            Format::Ndjson => {
                let mut text = String::new();
                for order in orders {
                    let line = serde_json::to_string(order);
                    text.push_str(&line.expect("an order's fields always serialise"));
                    text.push('\n');
                }
                text.into_bytes()
            }
        }
    }
}

fn csv_rows(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                bytes.push(b',');
            }
            // A quote within is written twice; whatever else a cell holds stands between quotes as it is.
            if cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ')
            {
                bytes.push(b'"');
                bytes.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
                bytes.push(b'"');
            } else {
                bytes.extend_from_slice(cell.as_bytes());
            }
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn cells(order: &Order) -> Vec<String> {
    let items = order.line_items.iter();
    let items: Vec<String> = items
        .map(|line| format!("{} × {}", line.quantity, line.name))
        .collect();
    let optional = |text: &Option<String>| inert(text.as_deref().unwrap_or_default());
    vec![
        order.id.to_string(),
        order.number.clone(),
        optional(&order.reference),
        order.created_at.to_string(),
        order.status.to_string(),
        order.payment_status.to_string(),
        order.fulfilment_status.to_string(),
        order.review.clone().unwrap_or_default(),
        order.currency.code().to_owned(),
        order.subtotal.clone(),
        order.discount_total.clone(),
        order.shipping_total.clone(),
        order.tax_total.clone(),
        order.tax_included.to_string(),
        order.total.clone(),
        order.amount_authorized.clone(),
        order.amount_paid.clone(),
        order.amount_refunded.clone(),
        order.amount_disputed.clone(),
        optional(&order.customer.email),
        optional(&order.customer.name),
        inert(&items.join("; ")),
    ]
}

/// A text that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it.
fn inert(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// A list of orders to be sent as a file.
pub struct Export {
    /// How it is written.
    pub format: Format,
    /// The file's name, without its ending.
    pub name: String,
    /// Where the orders come from.
    pub source: Source,
}

/// Where the orders of a file come from.
pub struct Source {
    /// The use cases.
    pub services: Arc<Services>,
    /// The shop.
    pub shop: ShopId,
    /// Its mode.
    pub mode: Mode,
    /// Which orders.
    pub filter: OrderFilter,
}

impl<'r> Responder<'r, 'static> for Export {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let ending = self.format.ending();
        let disposition = format!("attachment; filename=\"{}.{ending}\"", self.name);
        Response::build()
            .header(self.format.content_type())
            .raw_header("Content-Disposition", disposition)
            .streamed_body(Pages::new(self.source, self.format))
            .max_chunk_size(CHUNK)
            .ok()
    }
}

/// What is read next, and how that went.
type Reading = Pin<Box<dyn Future<Output = (Source, Result<Piece, ServiceError>)> + Send>>;

/// A piece of the file, and where the next one begins, if there is one.
struct Piece {
    bytes: Vec<u8>,
    next: Option<Cursor<OrderId>>,
}

/// The file's bytes, one page of orders after the other.
struct Pages {
    format: Format,
    ready: io::Cursor<Vec<u8>>,
    reading: Option<Reading>,
}

impl Pages {
    fn new(source: Source, format: Format) -> Pages {
        Pages {
            format,
            ready: io::Cursor::new(format.head()),
            reading: Some(read(source, format, Cursor::Newest)),
        }
    }
}

fn read(source: Source, format: Format, cursor: Cursor<OrderId>) -> Reading {
    Box::pin(async move {
        let page = Page {
            limit: AT_ONCE,
            cursor,
        };
        let services = source.services.clone();
        let orders = services.desk_orders(source.shop, source.mode, &source.filter, &page);
        let piece = orders.await.map(|(orders, more)| Piece {
            bytes: format.rows(&orders),
            next: orders
                .last()
                .filter(|_| more)
                .map(|last| Cursor::StartingAfter(last.id)),
        });
        (source, piece)
    })
}

impl AsyncRead for Pages {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let at = usize::try_from(self.ready.position()).unwrap_or(usize::MAX);
            let rest = self.ready.get_ref().get(at..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.remaining());
                buffer.put_slice(rest.get(..count).unwrap_or_default());
                let read = u64::try_from(at.saturating_add(count)).unwrap_or(u64::MAX);
                self.ready.set_position(read);
                return Poll::Ready(Ok(()));
            }
            let Some(mut reading) = self.reading.take() else {
                return Poll::Ready(Ok(()));
            };
            match reading.as_mut().poll(context) {
                Poll::Pending => {
                    self.reading = Some(reading);
                    return Poll::Pending;
                }
                Poll::Ready((source, Ok(piece))) => {
                    self.ready = io::Cursor::new(piece.bytes);
                    let format = self.format;
                    self.reading = piece.next.map(|cursor| read(source, format, cursor));
                }
                Poll::Ready((_, Err(error))) => {
                    tracing::error!(
                        error = crate::service::error::chain(&error),
                        "an export was broken off: its orders could not be read"
                    );
                    return Poll::Ready(Err(io::Error::other("the orders could not be read")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! What a CSV reader gets back is what was written, and no cell is a formula.

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_made_a_text() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(inert(text), cell);
        }
    }

    proptest! {
        #[test]
        fn a_reader_gets_back_what_was_written(
            rows in prop::collection::vec(prop::collection::vec("\\PC{0,12}|[\",;\r\n \t=+@-]{0,8}", 3), 1..6),
        ) {
            let bytes = csv_rows(rows.clone());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
            let read: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.expect("a record").iter().map(str::to_owned).collect())
                .collect();
            // A row of nothing but an empty cell is an empty line; ours have more cells.
            prop_assert_eq!(read, rows);
        }
    }
}
