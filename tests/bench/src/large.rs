//! Lists and searches over few and over many orders. The orders are put in by SQL: what the lists and the search
//! read of them is as the server would have written it.

use std::time::{Duration, Instant};

use crate::http::{Connection, Request, percentiles};
use crate::rows::{FIRST_NUMBER, Template};
use crate::site::{Engine, Site};

/// How many orders the lists and searches are compared with.
pub const FEW: i64 = 10_000;
/// One order in so many has a rare status, and a rare name: of [`FEW`] as many as fill a page, so that pages of the same
/// length are compared.
const RARE: i64 = 400;
/// How many rows one transaction inserts.
const AT_ONCE: i64 = 100_000;
/// When the first order was placed, in epoch milliseconds: 2026-01-01; each one a second after the other.
const FIRST_MS: i64 = 1_767_225_600_000;

/// Puts in the orders after number `from`, up to number `to`.
pub fn fill(site: &Site, template: &Template, from: i64, to: i64) -> anyhow::Result<()> {
    let mut start = from;
    while start < to {
        let end = (start + AT_ONCE).min(to);
        let mut sql = vec!["BEGIN".to_owned()];
        sql.extend(inserts(site.engine, template, start, end));
        sql.push("COMMIT".to_owned());
        site.run(&sql.join(";\n"))?;
        start = end;
    }
    // PostgreSQL does so by itself after a while.
    if site.engine == Engine::Postgres {
        site.run("VACUUM ANALYZE")?;
    }
    Ok(())
}

fn inserts(engine: Engine, template: &Template, from: i64, to: i64) -> Vec<String> {
    let first = from + 1;
    let (with, numbers) = match engine {
        Engine::Sqlite => (
            format!(
                "WITH RECURSIVE seq (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM seq WHERE n < {to}) "
            ),
            "seq".to_owned(),
        ),
        Engine::Postgres => (
            String::new(),
            format!("generate_series({first}::bigint, {to}::bigint) AS seq (n)"),
        ),
    };
    let mut sql = Vec::new();
    let listed = ["\"order\"", "line_item"];
    let id = order_id(engine);
    let rows = template
        .inserts
        .iter()
        .filter(|row| listed.contains(&row.table));
    for row in rows {
        let mut row = row.clone().with("order_id", &id);
        if row.table == listed[0] {
            row = row
                .with("id", &id)
                .with("customer_email", EMAIL)
                .with("customer_name", &format!("'Ada Family' || (n % {RARE})"))
                .with("created_at", &placed_ms("n"))
                .with(
                    "status",
                    &format!("CASE WHEN n % {RARE} = 0 THEN 'cancelled' ELSE 'open' END"),
                )
                .with(
                    "payment_status",
                    "CASE WHEN n % 10 = 0 THEN 'paid' ELSE 'unpaid' END",
                );
        }
        let cells = row.expressions(|cell| cell.expression(engine));
        sql.push(format!(
            "{} {with}SELECT {cells} FROM {numbers}",
            row.head()
        ));
    }
    let mut terms = vec![
        id.clone(),
        format!("CAST({FIRST_NUMBER} + n AS TEXT)"),
        "'web-' || n".to_owned(),
        EMAIL.to_owned(),
        "'customer' || (n / 20)".to_owned(),
        format!("'family' || (n % {RARE})"),
    ];
    let common = template.common_terms.iter();
    terms.extend(common.map(|term| format!("'{}'", term.replace('\'', "''"))));
    for term in terms {
        sql.push(format!(
            "INSERT INTO order_term (shop_id, term, order_id) {with}SELECT '{}', {term}, {id} FROM {numbers}",
            template.shop
        ));
    }
    sql
}

/// When order `n` was placed, in epoch milliseconds.
fn placed_ms(n: &str) -> String {
    format!("({FIRST_MS} + {n} * 1000)")
}

/// The digits of ids, and how many of them carry the time.
const DIGITS: &str = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_DIGITS: u32 = 10;

/// The id of order `n` as an expression: like one the server makes, it carries the time the order was placed.
fn order_id(engine: Engine) -> String {
    let time = (0..TIME_DIGITS).rev().map(|at| {
        let (ms, bits) = (placed_ms("n"), at * 5);
        let digit = format!("(({ms} >> {bits}) & 31)");
        match engine {
            Engine::Sqlite => format!("substr('{DIGITS}', 1 + {digit}, 1)"),
            Engine::Postgres => format!("substr('{DIGITS}', 1 + {digit}::int, 1)"),
        }
    });
    let rest = match engine {
        Engine::Sqlite => "printf('%016d', n)",
        Engine::Postgres => "lpad(n::text, 16, '0')",
    };
    format!(
        "'ord_' || {} || {rest}",
        time.collect::<Vec<_>>().join(" || ")
    )
}

/// The id of order `n`.
fn id_of(n: i64) -> String {
    let ms = FIRST_MS + n * 1000;
    let digit = |at: u32| {
        let digit = usize::try_from((ms >> (at * 5)) & 31).unwrap_or(0);
        char::from(DIGITS.as_bytes()[digit])
    };
    let time: String = (0..TIME_DIGITS).rev().map(digit).collect();
    format!("ord_{time}{n:016}")
}

/// A customer has twenty orders.
const EMAIL: &str = "'customer' || (n / 20) || '@example.com'";

/// What a request measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A list.
    List,
    /// A search.
    Search,
    /// A search for what begins more words than are looked up one by one: all orders that have one are gathered and
    /// sorted, so its time does depend on how many there are, and is shown apart.
    Gathering,
}

/// A request whose time should not depend on how many orders there are.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// What it asks.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    query: fn(i64, i64) -> String,
}

/// Each is asked about some order, out of so many.
pub const QUESTIONS: [Question; 14] = [
    list("the newest 20", |_, _| String::new()),
    list("20 from anywhere on", |n, _| {
        format!("&starting_after={}", id_of(n))
    }),
    list("by payment status", |_, _| {
        "&payment_status=paid".to_owned()
    }),
    list("by a rare status", |_, _| "&status=cancelled".to_owned()),
    list("by a rare and a common status", |_, _| {
        "&payment_status=paid&status=cancelled".to_owned()
    }),
    list("by e-mail", |n, _| {
        format!("&email=customer{}@example.com", n / 20)
    }),
    list("by reference", |n, _| format!("&reference=web-{n}")),
    list("placed before", |_, count| {
        let second = count / 2;
        let (day, hour) = (1 + second / 86_400, second / 3_600 % 24);
        format!("&created_before=2026-01-{day:02}T{hour:02}:00:01Z")
    }),
    search("a number", |n, _| format!("&q={}", FIRST_NUMBER + n)),
    search("a customer", |n, _| {
        format!("&q=customer{}@example.com", n / 20)
    }),
    search("a name one in 400 has", |n, _| {
        format!("&q=family{}", 100 + n % 300)
    }),
    search("a word of every order", |_, _| "&q=mug".to_owned()),
    search("a customer and a word", |n, _| {
        format!("&q=mug+customer{}@example.com", n / 20)
    }),
    Question {
        name: "what one reference in nine begins with",
        kind: Kind::Gathering,
        query: |_, _| "&q=web-1".to_owned(),
    },
];

const fn list(name: &'static str, query: fn(i64, i64) -> String) -> Question {
    Question {
        name,
        kind: Kind::List,
        query,
    }
}

const fn search(name: &'static str, query: fn(i64, i64) -> String) -> Question {
    Question {
        name,
        kind: Kind::Search,
        query,
    }
}

/// Asks every question some times; returns the median of each, in milliseconds.
pub async fn ask(site: &Site, count: i64, tries: i64) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(site.port).await?;
    let authorization = site.authorization();
    let mut medians = Vec::new();
    for question in QUESTIONS {
        let mut taken: Vec<Duration> = Vec::new();
        let begun = Instant::now();
        for at in 0..tries {
            // Spread over all of them, and the same ones each time.
            let number = 1 + at * 7_919 % count;
            let query = (question.query)(number, count);
            let request = Request::get(&format!("/v1/orders?limit=20{query}"), &authorization);
            let sent = Instant::now();
            connection.send(&request).await?.expect(200)?;
            taken.push(sent.elapsed());
            if begun.elapsed() > Duration::from_secs(20) && taken.len() >= 3 {
                break;
            }
        }
        medians.push(percentiles(&mut taken).0);
    }
    Ok(medians)
}
