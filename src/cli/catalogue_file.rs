//! Files of products: from bytes to checked products, or everything that is wrong, each with its line.

mod table;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;
use table::read_csv;

use crate::domain::catalogue::{Coverage, NewProduct, ProductInput};
use crate::http::strict_json::{self, Refusal};

/// The most products of one file: they are stored in one transaction.
const MAX_PRODUCTS: usize = 100_000;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
}

/// The products of a file, no SKU twice.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) products: Vec<NewProduct>,
    pub(super) coverage: Coverage,
}

/// Something wrong in a file. It repeats nothing of what the file says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// The line, from 1; in JSON the line on which the product begins.
    line: usize,
    /// The column, from 1, where the text itself is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// The field: a column's name in CSV, a JSON pointer in JSON; empty for the whole line.
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.line)?;
        if let Some(column) = self.column {
            write!(f, "{column}:")?;
        }
        match self.field.as_str() {
            "" => write!(f, " {}", self.detail),
            field => write!(f, " {field}: {}", self.detail),
        }
    }
}

impl Format {
    /// The format a file's name ends with.
    pub(super) fn of(file: &Path) -> Option<Format> {
        let extension = file.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Format::Csv),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// Reads a whole file.
///
/// # Errors
/// Everything that is wrong with it, by line.
pub(super) fn read(bytes: &[u8], format: Format) -> Result<Contents, Vec<Fault>> {
    // Spreadsheets begin their files with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut faults = Faults::default();
    let contents = match std::str::from_utf8(bytes) {
        Err(error) => {
            let line = Lines::new(bytes).at(error.valid_up_to());
            faults.add(line, "", "is not UTF-8; save the file in that encoding");
            None
        }
        Ok(text) => match format {
            Format::Csv => read_csv(text, &mut faults),
            Format::Json => read_json(text, &mut faults),
        },
    };
    match contents {
        Some(contents) if contents.products.len() > MAX_PRODUCTS => {
            faults.add(1, "", "has more than 100,000 products; import it in parts");
            Err(faults.0)
        }
        Some(contents) if faults.0.is_empty() => Ok(contents),
        _ => Err(faults.0),
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, line: usize, field: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Fault {
            line,
            column: None,
            field: field.into(),
            detail: detail.into(),
        });
    }

    fn keep<T>(&mut self, line: usize, field: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|why| self.add(line, field, why)).ok()
    }
}

/// Counts lines up to ever later places of a text.
struct Lines<'t> {
    text: &'t [u8],
    counted: usize,
    line: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Self {
        Lines {
            text,
            counted: 0,
            line: 1,
        }
    }

    fn at(&mut self, offset: usize) -> usize {
        let passed = self.text.get(self.counted..offset).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = self.counted.max(offset);
        self.line
    }

    /// The line of the first byte from `offset` on that is no line break.
    fn of_record(&mut self, offset: usize) -> usize {
        let rest = self.text.get(offset..).unwrap_or_default();
        let breaks = rest.iter().take_while(|byte| b"\r\n".contains(byte));
        let skipped = breaks.count();
        self.at(offset + skipped)
    }
}

fn read_json(text: &str, faults: &mut Faults) -> Option<Contents> {
    let items: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(items) => items,
        Err(error) if error.is_data() => {
            faults.add(1, "", "must be a JSON array of products");
            return None;
        }
        Err(error) => {
            let message = error.to_string();
            let detail = message.split(" at line ").next().unwrap_or_default();
            faults.0.push(Fault {
                line: error.line(),
                column: Some(error.column()),
                field: String::new(),
                detail: format!("is not valid JSON: {detail}"),
            });
            return None;
        }
    };
    let mut lines = Lines::new(text.as_bytes());
    let mut first_lines: HashMap<String, usize> = HashMap::new();
    let mut products = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        // The item is a part of the text, so its address says where.
        let line = lines.at(item.get().as_ptr().addr() - text.as_ptr().addr());
        let product = match strict_json::from_str::<ProductInput>(item.get()) {
            Ok(input) => input.check(),
            Err(Refusal::Shape(fault)) => Err(vec![(fault.pointer(), fault.detail().to_owned())]),
            Err(Refusal::Syntax(reason)) => {
                let detail = reason.split(" at line ").next().unwrap_or_default();
                Err(vec![(String::new(), format!("is not valid: {detail}"))])
            }
        };
        match product {
            Err(wrong) => {
                for (pointer, detail) in wrong {
                    faults.add(line, format!("/{index}{pointer}"), detail);
                }
            }
            Ok(product) => match first_lines.entry(product.sku.clone()) {
                Entry::Occupied(first) => {
                    let detail = format!("this SKU is on line {} already", first.get());
                    faults.add(line, format!("/{index}/sku"), detail);
                }
                Entry::Vacant(place) => {
                    place.insert(line);
                    products.push(product);
                }
            },
        }
    }
    Some(Contents {
        products,
        coverage: Coverage::Everything,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: impl AsRef<[u8]>, format: Format) -> Vec<String> {
        match read(bytes.as_ref(), format) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(Fault::to_string).collect(),
        }
    }

    #[test]
    fn one_row_a_price_and_quotes_as_spreadsheets_write_them() {
        let text = "\u{feff}sku,name,currency,price,stock\r\n\
                    mug,\"Mug, \"\"large\"\"\",JPY,1500,3\r\n\r\n\
                    shirt,T-shirt,EUR,24.99,\r\n\
                    mug,\"Mug, \"\"large\"\"\",EUR,12.5,3";
        let contents = read(text.as_bytes(), Format::Csv).expect("a good file");
        assert_eq!(contents.coverage, Coverage::PricesAndStock);
        let [mug, shirt] = contents.products.as_slice() else {
            panic!("two products");
        };
        assert_eq!(mug.name, "Mug, \"large\"");
        let prices: Vec<String> = mug.prices.iter().map(|p| format!("{p:?}")).collect();
        assert_eq!(prices, ["12.50 EUR", "1500 JPY"]);
        assert_eq!((mug.on_hand, shirt.on_hand), (Some(3), None));
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let text = "price,currency,name,sku\n1,EUR,Mug,mug\n";
        let contents = read(text.as_bytes(), Format::Csv).expect("a good file");
        assert_eq!(contents.coverage, Coverage::Prices);
        assert_eq!(contents.products[0].sku, "mug");
    }

    #[test]
    fn every_fault_of_a_csv_file_has_its_line_and_column() {
        let text = "sku,name,currency,price,stock\n\
                    a b,,eur,1,\n\
                    mug,Mug,EUR,1.005,-1\n\
                    \n\
                    mug,Mug,EUR,1.00,4\n\
                    mug,Cup,EUR,1.00,5\n\
                    mug,Mug\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let faults = shown(text, Format::Csv);
            let places: Vec<&str> = faults
                .iter()
                .map(|fault| fault.split(": ").next().expect("a place"))
                .collect();
            let wanted = ["2", "2", "2", "3", "3", "6", "6", "6", "7"];
            let fields = [
                "sku", "name", "currency", "price", "stock", "name", "stock", "currency", "has 2",
            ];
            assert_eq!(places, wanted, "{faults:#?}");
            for (fault, field) in faults.iter().zip(fields) {
                assert!(fault.contains(&format!(": {field}")), "{fault}");
            }
        }
    }

    #[test]
    fn a_csv_file_that_is_none_says_so() {
        for (text, wanted) in [
            (
                "",
                "1: the file is empty; it must begin with sku,name,currency,price",
            ),
            ("mug,Mug,EUR,1\n", "1: column 1 has no known name"),
            (
                "sku,name,currency\n",
                "1: price: the header line lacks this column",
            ),
            (
                "sku,sku,name,currency,price\n",
                "1: sku: this column is there twice",
            ),
            (
                "sku,name,currency,price\na,\"A,EUR,1\nb,B,EUR,1\n",
                "2: has 2 fields where the header has 4; is a quotation mark not closed?",
            ),
        ] {
            let faults = shown(text, Format::Csv);
            assert!(faults[0].starts_with(wanted), "{faults:?}");
        }
        let faults = shown(b"sku,name,currency,price\na,\xff,EUR,1\n", Format::Csv);
        assert_eq!(faults, ["2: is not UTF-8; save the file in that encoding"]);
    }

    #[test]
    fn every_fault_of_a_json_file_has_its_line_and_pointer() {
        let text = r#"[
            {"sku":"mug","name":"Mug","prices":{"EUR":"1"}},
            {"sku":"a b",
             "name":"","prices":{"EUR":"1e3"}},
            {"sku":"cup","name":"Cup","prices":{"EUR":1}},
            {"sku":"mug","name":"Mug","prices":{"EUR":"1"},"secret_cost":1},
            {"sku":"mug","name":"Mug","prices":{"EUR":"1","EUR":"2"}},
            {"sku":"mug","name":"Mug","prices":{"EUR":"1"}}
        ]"#;
        let faults = shown(text, Format::Json);
        let places: Vec<String> = faults
            .iter()
            .map(|fault| fault.split(": ").take(2).collect::<Vec<_>>().join(" "))
            .collect();
        let wanted = [
            "3 /1/sku",
            "3 /1/name",
            "3 /1/prices/EUR",
            "5 /2/prices/EUR",
            "6 /3/secret_cost",
            "7 /4/prices/EUR",
            "8 /5/sku",
        ];
        assert_eq!(places, wanted, "{faults:#?}");
    }

    #[test]
    fn broken_json_says_where_it_breaks() {
        let faults = shown("[\n  {\"sku\": \"mug\",,}\n]", Format::Json);
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].starts_with("2:17: is not valid JSON: "),
            "{faults:?}"
        );
        for text in ["{}", "null", "\"4242424242424242\""] {
            let wanted = ["1: must be a JSON array of products"];
            assert_eq!(shown(text, Format::Json), wanted);
        }
        let surrogate = r#"[{"sku":"mug","name":"\ud800","prices":{"EUR":"1"}}]"#;
        let faults = shown(surrogate, Format::Json);
        assert!(faults[0].starts_with("1: /0: is not valid: "), "{faults:?}");
    }
}
