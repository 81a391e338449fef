//! The arrows of the house: which layer may import which.
//!
//! This scans every Rust file of the workspace for `use` trees and inline paths and fails when one of them
//! runs against the table below. `super::` and `self::` are resolved first, so a path cannot leave its layer
//! under another name. Comments and string literals are not code and are skipped. Test code is held to the
//! same rules inside the crate; only outside crates are free there.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

/// Stands for "whatever it likes".
const ANY: &str = "*";

/// What one layer may reach. Both lists are words between blanks, or [`ANY`].
struct Rule {
    layer: &'static str,
    /// Other layers of the same crate.
    layers: &'static str,
    /// Outside crates, by the name a path starts with. `std`, `core` and `alloc` are always allowed.
    crates: &'static str,
}

const fn rule(layer: &'static str, layers: &'static str, crates: &'static str) -> Rule {
    Rule {
        layer,
        layers,
        crates,
    }
}

/// One line a layer, innermost first. A layer without a line here is a violation by itself.
const RULES: &[Rule] = &[
    // The two crates beside the root package: nothing but the toolkit (`async_trait` comes with it).
    rule("entity", ANY, "sea_orm"),
    rule("migration", ANY, "sea_orm_migration async_trait"),
    // Pure, see IMPURE.
    rule(
        "domain",
        "",
        "rust_decimal serde serde_json thiserror type_safe_id utoipa uuid",
    ),
    rule("clock", "domain", ANY),
    rule("secrets", "domain clock", ANY),
    // The registry; it knows nothing of what is counted.
    rule("metrics", "", ""),
    rule(
        "store",
        "domain clock",
        "async_trait entity fail futures migration sea_orm sea_orm_migration serde \
         serde_json thiserror tokio tokio_util tracing uuid",
    ),
    rule("provider", "domain clock", OUTBOUND),
    rule("delivery", "domain clock", OUTBOUND),
    // Shares no code with the rest of Till: sharing code would share its bugs.
    rule(
        "simulator",
        "",
        "askama async_trait base64 futures getrandom hmac reqwest rocket rustls serde serde_json \
         sha2 subtle thiserror tokio tokio_util tracing uuid",
    ),
    rule(
        "service",
        "domain store provider delivery clock secrets metrics",
        "async_trait base64 fail futures serde serde_json sha2 subtle thiserror tokio \
         tokio_util tracing uuid",
    ),
    rule(
        "worker",
        "service clock",
        "fail futures thiserror tokio tokio_util tracing",
    ),
    rule(
        "http",
        "service domain secrets metrics",
        "async_trait base64 futures rocket serde serde_json \
         serde_path_to_error sha2 subtle thiserror tokio tracing utoipa uuid",
    ),
    // The server that Rocket runs in: sockets and deadlines, and nothing of what is asked.
    rule(
        "front",
        "http",
        "hyper hyper_util rocket rustix serde_json thiserror tokio tokio_util tracing",
    ),
    // Stands on the HTTP edge: request ids, problems and throttles are one for both.
    rule(
        "staff",
        "service domain http",
        "askama async_trait base64 futures rocket serde serde_json sha2 subtle thiserror \
         tokio tracing utoipa uuid",
    ),
    // The composition root.
    rule("main", ANY, ANY),
    rule("lib", ANY, ANY),
    rule("app", ANY, ANY),
    rule("cli", ANY, ANY),
    rule("config", ANY, ANY),
    rule("telemetry", ANY, ANY),
];

/// What a layer that calls others over HTTP may use.
const OUTBOUND: &str = "async_trait base64 futures hmac reqwest serde serde_json sha2 \
                        subtle thiserror tokio tracing uuid";

/// Does no I/O and reads no clock.
const PURE: &str = "domain";

/// Parts of `std` that are closed to a pure layer.
const IMPURE: &[&str] = &[
    "env",
    "fs",
    "io",
    "net",
    "process",
    "thread",
    "time::Instant",
    "time::SystemTime",
];

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

#[test]
fn imports_follow_the_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = outside_crates(root);
    let mut files = Vec::new();
    for folder in ["src", "entity/src", "migration/src"] {
        rust_files(&root.join(folder), &mut files);
    }
    files.sort();

    let mut layers = BTreeSet::new();
    let mut violations = Vec::new();
    for file in &files {
        let relative = file
            .strip_prefix(root)
            .expect("the file was found under the root");
        let source = fs::read_to_string(file).expect("a source file is readable text");
        layers.insert(Place::of(relative).layer);
        violations.extend(check(relative, &source, &crates));
    }

    // An empty scan would pass as well.
    for layer in [
        "entity",
        "migration",
        "domain",
        "store",
        "provider",
        "simulator",
        "service",
        "http",
        "front",
    ] {
        assert!(layers.contains(layer), "found no file of the layer {layer}");
    }
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} import(s) run against the table in tests/api/architecture.rs:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn the_two_inner_crates_depend_on_their_toolkit_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (manifest, toolkit) in [
        ("entity/Cargo.toml", "sea_orm"),
        ("migration/Cargo.toml", "sea_orm_migration"),
    ] {
        let text = fs::read_to_string(root.join(manifest)).expect("the manifest is readable");
        let found: Vec<String> = dependencies(&text, &["dependencies"]).into_iter().collect();
        assert_eq!(found, [toolkit], "{manifest}");
    }
}

/// file | line | part of the message | source, where `⏎` is a line break
const BACKWARDS: &str = r#"
src/domain/order.rs | 1 | crate::store | use crate::store::Store;
src/domain/order.rs | 1 | tokio | use tokio::time::sleep;
src/domain/order.rs | 1 | SystemTime | use std::time::{Duration, SystemTime};
src/domain/settlement/fold.rs | 1 | std::fs | fn f() { std::fs::read("x"); }
src/store/orders.rs | 3 | crate::service | use crate::{⏎    domain::Money,⏎    service::Till,⏎};
src/store/orders.rs | 1 | crate::http | fn f() -> crate::http::Problem { g() }
src/store/settle/load.rs | 1 | crate::service | use super::super::super::service::X;
src/store/orders.rs | 2 | crate::http | mod inner {⏎    use super::super::super::http::X;⏎}
src/store/orders.rs | 1 | rocket | #[rocket::async_trait] impl X for Y {}
src/store/orders.rs | 3 | rocket | const A: char = '"';⏎/* " */⏎fn f<'a>(x: &'a rocket::Request) {}
src/provider/mod.rs | 1 | crate::store | use till::store::Store;
src/provider/stripe/client.rs | 1 | sea_orm | use sea_orm::DbErr;
src/delivery/mod.rs | 1 | crate::service | use crate::service::Till;
src/simulator/world.rs | 1 | crate::domain | use crate::domain::money::Money;
src/simulator/mod.rs | 1 | crate::domain | use super::domain::money::Money;
src/simulator/http/api.rs | 1 | crate::clock | use super::super::super::clock;
src/simulator/tests/api.rs | 1 | crate::provider | use crate::provider::stripe;
src/service/orders.rs | 1 | entity | use ::entity::order;
src/service/orders.rs | 1 | reqwest | pub use reqwest as client;
src/service/orders.rs | 1 | sea_orm | fn f(e: &sea_orm::DbErr) {}
src/service/orders.rs | 1 | crate::http | use crate::http::Problem;
src/worker/mod.rs | 1 | crate::store | use crate::store::Store;
src/http/orders.rs | 1 | crate::store | use crate::store::orders::OrderFilter;
src/http/orders.rs | 1 | crate::provider | use crate::provider::PaymentProvider;
src/http/orders.rs | 1 | crate::store | macro_rules! m { () => { $crate::store::x() } }
src/http/orders.rs | 1 | crate root | use crate::*;
src/http/orders.rs | 1 | crate root | use crate as all;
src/http/mod.rs | 1 | crate root | use super::*;
src/http/mod.rs | 1 | reqwest | extern crate reqwest;
src/http/tests/wire.rs | 1 | crate::store | use crate::store::Store;
src/http/orders.rs | 2 | reqwest | #[cfg(test)] mod tests { use reqwest::X; }⏎use reqwest::Y;
src/http/orders.rs | 1 | reqwest | #[cfg(not(test))] use reqwest::Y;
src/staff/mod.rs | 2 | crate::store | #[cfg(test)] mod tests {⏎    use crate::store::Store;⏎}
src/staff/mod.rs | 1 | crate::secrets | use crate::secrets::Secrets;
src/clock.rs | 1 | crate::service | use crate::service::Till;
src/newcomer/mod.rs | 1 | no rule | use std::fmt;
entity/src/order.rs | 1 | serde | use serde::Serialize;
migration/src/lib.rs | 1 | entity | use entity::order;
migration/src/lib.rs | 1 | till | use till::domain::Money;
"#;

/// file | source, where `⏎` is a line break
const FORWARDS: &str = r##"
src/domain/order.rs | use crate::domain::{money::Money, page}; use super::ids::OrderId;
src/domain/order.rs | use std::{fmt, time::Duration}; use rust_decimal::Decimal;
src/domain/order.rs | // use crate::store::Store;⏎/* tokio::spawn /* nested */ rocket::get */
src/domain/order.rs | /// See [`crate::store`].⏎const A: &str = "crate::store::X \" tokio::y";
src/domain/order.rs | const A: &str = r#"use crate::store::"X"; rocket::get"#;
src/domain/order.rs | #[cfg(test)] mod tests { use super::*; use proptest::prelude::*; }
src/domain/order/tests.rs | use proptest::prelude::*;
src/store/orders.rs | use crate::{clock::Clock, domain::Money}; use ::entity::order;
src/store/settle/mod.rs | use super::tx::Tx; pub(in crate::store) fn f() {}
src/service/orders.rs | pub use crate::store::orders::OrderFilter; fail::fail_point!("x");
src/simulator/tests/api.rs | use super::super::world::World; use crate::simulator::form;
src/http/orders.rs | use crate::service::orders::OrderFilter; fn f() -> impl Fn() + use<> { g }
src/main.rs | use till::{http, store}; use sea_orm::DbErr;
src/cli/serve.rs | use crate::{http, simulator, store};
entity/src/order.rs | use crate::shop; use super::line_item; use sea_orm::entity::prelude::*;
"##;

#[test]
fn a_path_that_runs_backwards_is_found() {
    for case in BACKWARDS.trim().lines() {
        let mut columns = case.splitn(4, " | ");
        let mut column = || columns.next().expect("a case has four columns");
        let (file, line, part) = (column(), column(), column());
        let source = column().replace('⏎', "\n");
        let found = check(Path::new(file), &source, &known());
        assert!(
            found.len() == 1 && found[0].line.to_string() == line && found[0].what.contains(part),
            "`{case}` should be found, and nothing else: {found:?}"
        );
    }
}

#[test]
fn a_path_that_follows_the_table_is_let_through() {
    for case in FORWARDS.trim().lines() {
        let (file, source) = case.split_once(" | ").expect("a case has two columns");
        let found = check(Path::new(file), &source.replace('⏎', "\n"), &known());
        assert!(found.is_empty(), "`{case}` breaks no rule: {found:?}");
    }
}

/// The outside crates that the cases above speak of.
fn known() -> BTreeSet<String> {
    "entity fail migration proptest reqwest rocket rust_decimal sea_orm sea_orm_migration serde tokio"
        .split(' ')
        .map(str::to_owned)
        .collect()
}

/// Every name that a path into another crate can start with, from the three manifests.
fn outside_crates(root: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for manifest in ["Cargo.toml", "entity/Cargo.toml", "migration/Cargo.toml"] {
        let text = fs::read_to_string(root.join(manifest)).expect("the manifest is readable");
        names.extend(dependencies(
            &text,
            &[
                "dependencies",
                "dev-dependencies",
                "build-dependencies",
                "workspace.dependencies",
            ],
        ));
    }
    assert!(
        names.contains("rocket") && names.contains("sea_orm"),
        "the manifests were not understood"
    );
    names
}

/// The dependency names in these sections of a manifest, as they are written in code.
fn dependencies(manifest: &str, sections: &[&str]) -> BTreeSet<String> {
    let mut wanted = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            wanted = section
                .split(']')
                .next()
                .is_some_and(|name| sections.contains(&name));
        } else if wanted && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.insert(name.replace('-', "_"));
        }
    }
    names
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder's entry is readable").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Where a file stands in the house.
struct Place {
    layer: String,
    /// The file's own module path from its crate's root.
    module: Vec<String>,
    /// The file as a whole is test code.
    test: bool,
}

impl Place {
    fn of(file: &Path) -> Self {
        let parts: Vec<String> = file
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let (inner, module) = match parts.as_slice() {
            [src, module @ ..] if src == "src" => (None, module),
            [name, src, module @ ..] if src == "src" => (Some(name.clone()), module),
            _ => panic!("{} is in no src folder", file.display()),
        };
        let mut module = module.to_vec();
        let layer = inner.unwrap_or_else(|| module.first().cloned().unwrap_or_default());
        let test = module.iter().any(|part| part == "tests" || part == "laws");
        if module.len() == 1 && matches!(module[0].as_str(), "lib" | "main")
            || module.last().is_some_and(|last| last == "mod")
        {
            module.pop();
        }
        Self {
            layer,
            module,
            test,
        }
    }
}

/// All paths of one file that break its layer's rule.
fn check(file: &Path, source: &str, crates: &BTreeSet<String>) -> Vec<Violation> {
    let place = Place::of(file);
    let Some(rule) = RULES.iter().find(|rule| rule.layer == place.layer) else {
        let what = format!(
            "no rule for the layer `{}` in tests/api/architecture.rs",
            place.layer
        );
        return vec![Violation {
            file: file.to_owned(),
            line: 1,
            what,
        }];
    };
    paths(&tokens(source), &place)
        .into_iter()
        .filter_map(|path| {
            let what = path.broken(rule, crates)?;
            Some(Violation {
                file: file.to_owned(),
                line: path.line,
                what,
            })
        })
        .collect()
}

/// A path as it stands in the code, with what is needed to judge it.
struct FoundPath {
    line: usize,
    segments: Vec<String>,
    /// Written `::name`.
    absolute: bool,
    /// In a `use` or `extern crate`, where one segment is enough to import something.
    import: bool,
    test: bool,
    /// The module it stands in.
    module: Vec<String>,
}

impl FoundPath {
    /// Why this path may not stand in the layer, if so.
    fn broken(&self, rule: &Rule, crates: &BTreeSet<String>) -> Option<String> {
        let allows = |list: &str, name: &str| {
            list == ANY || list.split_whitespace().any(|word| word == name)
        };
        let first = self.segments.first()?.as_str();
        let written = self.segments.join("::");
        let inside = match first {
            "crate" if !self.absolute => Some(self.segments[1..].to_vec()),
            "self" | "super" if !self.absolute => {
                let supers = self
                    .segments
                    .iter()
                    .take_while(|s| *s == "super" || *s == "self");
                let up = supers.clone().filter(|s| *s == "super").count();
                let kept = self.module.len().saturating_sub(up);
                let mut whole = self.module[..kept].to_vec();
                whole.extend_from_slice(&self.segments[supers.count()..]);
                Some(whole)
            }
            "till" if !matches!(rule.layer, "entity" | "migration") => {
                Some(self.segments[1..].to_vec())
            }
            _ => None,
        };
        if let Some(inside) = inside {
            let target = inside.first().map_or("*", String::as_str);
            return if target == rule.layer || allows(rule.layers, target) {
                None
            } else if target == "*" {
                Some(format!(
                    "`{written}` opens the crate root to `{}`",
                    rule.layer
                ))
            } else {
                Some(format!(
                    "`{}` may not import `crate::{}` (`{written}`)",
                    rule.layer,
                    inside.join("::")
                ))
            };
        }
        if matches!(first, "std" | "core" | "alloc") {
            let rest = self.segments[1..].join("::");
            let within = |closed: &str| {
                rest.strip_prefix(closed)
                    .is_some_and(|tail| tail.is_empty() || tail.starts_with("::"))
            };
            let impure =
                rule.layer == PURE && !self.test && IMPURE.iter().any(|closed| within(closed));
            return impure.then(|| format!("`{}` is pure and may not use `{written}`", rule.layer));
        }
        let outside = first == "till" || crates.contains(first);
        let names_a_crate = outside && (self.import || self.absolute || self.segments.len() > 1);
        let free = self.test || allows(rule.crates, first);
        (names_a_crate && !free).then(|| {
            format!(
                "`{}` may not import the crate `{first}` (`{written}`)",
                rule.layer
            )
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Word(String),
    /// `::`
    Separator,
    Sign(char),
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    line: usize,
}

impl Token {
    fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// The words and signs of a source text, without comments, literals and lifetimes.
fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut line = 1;
    let mut i = 0;
    while i < text.len() {
        let start = i;
        let first_line = line;
        let mut kind = None;
        match text[i] {
            '/' if at(i + 1) == '/' => {
                while i < text.len() && text[i] != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= text.len() {
                        break;
                    }
                }
            }
            '"' => i = after_string(&text, i),
            // 'x' and '\n' are literals, 'x is a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < text.len() && text[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            '\'' => {
                i += 1;
                while is_word(at(i)) {
                    i += 1;
                }
            }
            c if is_word(c) => {
                while is_word(at(i)) {
                    i += 1;
                }
                let word: String = text[start..i].iter().collect();
                let hashes = text[i..].iter().take_while(|c| **c == '#').count();
                let raw = matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"';
                let prefixed = matches!(word.as_str(), "b" | "c") && at(i) == '"';
                if raw {
                    i = after_raw_string(&text, i + hashes + 1, hashes);
                } else if prefixed {
                    i = after_string(&text, i);
                } else if word == "r" && hashes == 1 && is_word(at(i + 1)) {
                    i += 1; // r#type: the word itself follows
                } else {
                    kind = Some(Kind::Word(word));
                }
            }
            ':' if at(i + 1) == ':' => {
                kind = Some(Kind::Separator);
                i += 2;
            }
            c => {
                kind = (!c.is_whitespace()).then_some(Kind::Sign(c));
                i += 1;
            }
        }
        let end = i.min(text.len());
        line += text[start..end].iter().filter(|c| **c == '\n').count();
        found.extend(kind.map(|kind| Token {
            kind,
            line: first_line,
        }));
    }
    found
}

fn after_string(text: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < text.len() && text[i] != '"' {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_raw_string(text: &[char], mut i: usize, hashes: usize) -> usize {
    while i < text.len() {
        let closed =
            text[i] == '"' && text[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        if closed {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// Every path of a file: the leaves of its `use` trees, and what stands inline.
fn paths(tokens: &[Token], place: &Place) -> Vec<FoundPath> {
    let test = test_code(tokens, place.test);
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut inner: Vec<(usize, String)> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let token = &tokens[i];
        let next = tokens.get(i + 1);
        let module = || {
            let names = inner.iter().map(|(_, name)| name.clone());
            place
                .module
                .iter()
                .cloned()
                .chain(names)
                .collect::<Vec<_>>()
        };
        match token.word() {
            None => {
                if token.is('{') {
                    depth += 1;
                } else if token.is('}') {
                    depth = depth.saturating_sub(1);
                    inner.retain(|(at, _)| *at <= depth);
                }
                i += 1;
            }
            Some("mod") => {
                let opens = tokens.get(i + 2).is_some_and(|t| t.is('{'));
                if let (true, Some(name)) = (opens, next.and_then(Token::word)) {
                    inner.push((depth + 1, name.to_owned()));
                }
                i += 1;
            }
            // `impl Trait + use<'a>` is no import.
            Some("use") if !next.is_some_and(|t| t.is('<')) => {
                let mut leaves = Vec::new();
                let absolute = next.is_some_and(|t| t.kind == Kind::Separator);
                let end = use_tree(tokens, i + 1, &[], &mut leaves);
                found.extend(leaves.into_iter().map(|(line, segments)| FoundPath {
                    line,
                    segments,
                    absolute,
                    import: true,
                    test: test[i],
                    module: module(),
                }));
                i = end;
            }
            Some("extern") if next.and_then(Token::word) == Some("crate") => {
                let name = tokens.get(i + 2).and_then(Token::word).map(str::to_owned);
                found.push(FoundPath {
                    line: token.line,
                    segments: name.into_iter().collect(),
                    absolute: true,
                    import: true,
                    test: test[i],
                    module: module(),
                });
                i += 3;
            }
            Some(word) => {
                let mut segments = vec![word.to_owned()];
                let mut end = i + 1;
                while let (Some(Kind::Separator), Some(word)) = (
                    tokens.get(end).map(|t| &t.kind),
                    tokens.get(end + 1).and_then(Token::word),
                ) {
                    segments.push(word.to_owned());
                    end += 2;
                }
                // `<T as X>::y`, `Vec::<T>::y` and `$name::y` go on from something else; `::y` starts anew.
                let before = |back: usize| i.checked_sub(back).map(|at| &tokens[at]);
                let separated = before(1).is_some_and(|t| t.kind == Kind::Separator);
                let goes_on = separated
                    && before(2).is_some_and(|t| t.is('>') || t.word().is_some())
                    || before(1).is_some_and(|t| t.is('$')) && word != "crate";
                if segments.len() > 1 && !goes_on {
                    found.push(FoundPath {
                        line: token.line,
                        segments,
                        absolute: separated,
                        import: false,
                        test: test[i],
                        module: module(),
                    });
                }
                i = end;
            }
        }
    }
    found
}

/// Reads one branch of a `use` tree, gives its leaves and returns the place behind it.
fn use_tree(
    tokens: &[Token],
    mut i: usize,
    prefix: &[String],
    leaves: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut line = tokens.get(i).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(i) {
        match &token.kind {
            Kind::Word(word) if word == "as" => i += 2,
            Kind::Word(word) => {
                path.push(word.clone());
                line = token.line;
                i += 1;
            }
            Kind::Sign('*') => {
                path.push("*".to_owned());
                i += 1;
            }
            Kind::Sign('{') => {
                i += 1;
                while tokens.get(i).is_some_and(|t| !t.is('}')) {
                    i = use_tree(tokens, i, &path, leaves);
                    if tokens.get(i).is_some_and(|t| t.is(',')) {
                        i += 1;
                    }
                }
                return i + 1;
            }
            Kind::Sign(',' | '}' | ';') => break,
            _ => i += 1,
        }
    }
    // `a::{self}` is `a`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    leaves.push((line, path));
    i
}

/// Which tokens belong to an item under `#[cfg(test)]`.
fn test_code(tokens: &[Token], whole: bool) -> Vec<bool> {
    let mut marked = vec![whole; tokens.len()];
    let mut i = 0;
    while i + 1 < tokens.len() {
        if !(tokens[i].is('#') && tokens[i + 1].is('[')) {
            i += 1;
            continue;
        }
        let mut end = after_group(tokens, i + 1);
        let words: Vec<&str> = tokens[i..end].iter().filter_map(Token::word).collect();
        if words.first() != Some(&"cfg") || !words.contains(&"test") || words.contains(&"not") {
            i = end;
            continue;
        }
        while tokens.get(end).is_some_and(|t| t.is('#')) {
            end = after_group(tokens, end + 1);
        }
        while let Some(token) = tokens.get(end) {
            let group = token.is('{') || token.is('(') || token.is('[');
            let last = token.is('{') || token.is(';');
            end = if group {
                after_group(tokens, end)
            } else {
                end + 1
            };
            if last {
                break;
            }
        }
        marked[i..end.min(tokens.len())].fill(true);
        i = end;
    }
    marked
}

/// The place behind the bracket that closes the one at `open`.
fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Sign('{' | '(' | '[') => depth += 1,
            Kind::Sign('}' | ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}
