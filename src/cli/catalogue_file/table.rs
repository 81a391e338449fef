//! CSV files of products: a row is a price, and the rows of one SKU are one product.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Contents, Faults, Lines};
use crate::domain::catalogue::{Coverage, MAX_PRICES, NewProduct, PriceField, on_hand, price};
use crate::domain::currency::Currency;
use crate::domain::money::Money;
use crate::domain::text;

/// What a CSV file must have, and what it may have.
const COLUMNS: [&str; 5] = ["sku", "name", "currency", "price", "stock"];
const REQUIRED: usize = 4;

/// Reads a whole text; nothing when what is wrong leaves no rows to read.
pub(super) fn read_csv(text: &str, faults: &mut Faults) -> Option<Contents> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut lines = Lines::new(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut header: Option<Header> = None;
    let mut table = Table::default();
    loop {
        let offset = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = lines.of_record(offset);
                match &header {
                    None => header = Some(Header::read(&record, line, faults)?),
                    Some(header) => table.add_row(header, &record, line, faults),
                }
            }
            Err(_) => {
                faults.add(lines.of_record(offset), "", "cannot be read as CSV");
                return None;
            }
        }
    }
    let Some(header) = header else {
        faults.add(
            1,
            "",
            "the file is empty; it must begin with sku,name,currency,price",
        );
        return None;
    };
    Some(Contents {
        products: table.products,
        coverage: match header.places[COLUMNS.len() - 1] {
            Some(_) => Coverage::PricesAndStock,
            None => Coverage::Prices,
        },
    })
}

/// Where each of [`COLUMNS`] stands.
struct Header {
    places: [Option<usize>; COLUMNS.len()],
    width: usize,
}

impl Header {
    fn read(record: &csv::StringRecord, line: usize, faults: &mut Faults) -> Option<Header> {
        let before = faults.0.len();
        let mut places = [None; COLUMNS.len()];
        for (at, name) in record.iter().enumerate() {
            let known = COLUMNS.iter().position(|column| *column == name);
            match known.and_then(|known| places.get_mut(known)) {
                None => {
                    let detail = format!(
                        "column {} has no known name; the columns are sku,name,currency,price and, \
                         if wanted, stock",
                        at + 1
                    );
                    faults.add(line, "", detail);
                }
                Some(place @ None) => *place = Some(at),
                Some(Some(_)) => faults.add(line, name, "this column is there twice"),
            }
        }
        for (column, place) in COLUMNS.iter().zip(&places).take(REQUIRED) {
            if place.is_none() {
                faults.add(line, *column, "the header line lacks this column");
            }
        }
        let width = record.len();
        (faults.0.len() == before).then_some(Header { places, width })
    }

    /// The row's text in one of [`COLUMNS`].
    fn field<'r>(&self, record: &'r csv::StringRecord, column: usize) -> Option<&'r str> {
        record.get(self.places[column]?)
    }
}

/// Gathers the rows of each product.
#[derive(Default)]
struct Table {
    products: Vec<NewProduct>,
    /// Where a SKU's product is, and the line that named it first.
    known: HashMap<String, (usize, usize)>,
    /// The line of each product's price in a currency.
    priced: HashMap<(usize, Currency), usize>,
}

/// A row whose every field is good.
struct Row {
    sku: String,
    name: String,
    price: Money,
    on_hand: Option<i64>,
}

impl Table {
    fn add_row(
        &mut self,
        header: &Header,
        record: &csv::StringRecord,
        line: usize,
        faults: &mut Faults,
    ) {
        if record.len() != header.width {
            let hint = match record.iter().any(|field| field.contains('\n')) {
                true => "; is a quotation mark not closed?",
                false => "",
            };
            let detail = format!(
                "has {} fields where the header has {}{hint}",
                record.len(),
                header.width
            );
            return faults.add(line, "", detail);
        }
        if let Some(row) = Row::read(header, record, line, faults) {
            self.add(row, line, faults);
        }
    }

    fn add(&mut self, row: Row, line: usize, faults: &mut Faults) {
        let fresh = (self.products.len(), line);
        let (at, first) = *self.known.entry(row.sku.clone()).or_insert(fresh);
        if at == self.products.len() {
            let mut product = NewProduct::new(&row.sku, &row.name, Vec::new());
            product.on_hand = row.on_hand;
            self.products.push(product);
        }
        let product = &mut self.products[at];
        if product.name != row.name {
            let detail = format!("is not what line {first} says of this SKU");
            faults.add(line, "name", detail);
        }
        if product.on_hand != row.on_hand {
            let detail = format!("is not what line {first} says of this SKU");
            faults.add(line, "stock", detail);
        }
        match self.priced.entry((at, row.price.currency())) {
            Entry::Occupied(earlier) => {
                let detail = format!("line {} has a price in it already", earlier.get());
                faults.add(line, "currency", detail);
            }
            Entry::Vacant(_) if product.prices.len() == MAX_PRICES => {
                faults.add(line, "currency", "a product has at most 50 prices");
            }
            Entry::Vacant(place) => {
                place.insert(line);
                product.prices.push(row.price);
                product.prices.sort_by_key(|price| price.currency());
            }
        }
    }
}

impl Row {
    fn read(
        header: &Header,
        record: &csv::StringRecord,
        line: usize,
        faults: &mut Faults,
    ) -> Option<Row> {
        let field = |column| header.field(record, column).unwrap_or_default();
        let sku = faults.keep(line, "sku", text::new_sku(field(0)));
        let name = faults.keep(line, "name", text::plain(field(1), 200));
        let price = price(field(2), field(3)).map_err(|(which, why)| match which {
            PriceField::Currency => faults.add(line, "currency", format!("is {why}")),
            PriceField::Amount => faults.add(line, "price", why),
        });
        let on_hand = match field(4) {
            "" => Some(None),
            count => faults.keep(line, "stock", stock(count)).map(Some),
        };
        Some(Row {
            sku: sku?,
            name: name?,
            price: price.ok()?,
            on_hand: on_hand?,
        })
    }
}

fn stock(count: &str) -> Result<i64, String> {
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    match count.parse() {
        Ok(count) if digits => on_hand(count),
        _ => Err("must be a whole number, or empty for no limit".to_owned()),
    }
}
