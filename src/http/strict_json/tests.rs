//! Goal: nothing is read twice or guessed, every fault has its pointer, and no fault repeats a value.
//! Method: small texts into small types; a canary in every place a message could pick it up from.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::*;

const CANARY: &str = "CANARY-4f1c";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    currency: String,
    lines: Vec<Line>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    capture: Option<Capture>,
    extra: Option<Value>,
    code: Option<Code>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    quantity: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Capture {
    Automatic,
    Manual,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Code(String);

impl TryFrom<String> for Code {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "careless" => Err("must not be careless".to_owned()),
            "short" => Err("must have 8 letters".to_owned()),
            _ if text.len() == 8 => Ok(Code(text)),
            _ => Err(format!("{text:?} must have 8 letters")),
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Tagged {
    Card { digits: u32 },
}

fn fault<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> (String, String) {
    match from_str::<T>(text) {
        Err(Refusal::Shape(fault)) => (fault.pointer(), fault.detail().to_owned()),
        other => panic!("{other:?}"),
    }
}

fn order_fault(text: &str) -> (String, String) {
    fault::<Order>(text)
}

fn is_syntax(text: &str) -> bool {
    matches!(from_str::<Value>(text), Err(Refusal::Syntax(_)))
}

#[test]
fn a_good_text_is_read_whole() {
    let order: Order = from_str(
        r#" {"currency":"E\u00dcR","lines":[{"quantity":2}],"metadata":{"a":"\u0000"},"capture":"manual","extra":{"x":[1,-1,1.5,null]}} "#,
    )
    .unwrap();
    assert_eq!(order.currency, "EÜR");
    assert_eq!(order.lines, [Line { quantity: 2 }]);
    assert_eq!(order.metadata["a"], "\0");
    assert_eq!(order.capture, Some(Capture::Manual));
    assert_eq!(
        order.extra,
        Some(serde_json::json!({"x": [1, -1, 1.5, null]}))
    );
    assert_eq!(
        from_str::<Tagged>(r#"{"kind":"card","digits":4}"#),
        Ok(Tagged::Card { digits: 4 })
    );
}

#[test]
fn duplicate_keys_are_refused_at_every_level() {
    for (text, pointer) in [
        (
            r#"{"currency":"EUR","currency":"EUR","lines":[]}"#,
            "/currency",
        ),
        (
            r#"{"currency":"EUR","lines":[{"quantity":1},{"quantity":1,"quantity":2}]}"#,
            "/lines/1/quantity",
        ),
        (
            r#"{"currency":"EUR","lines":[],"metadata":{"a":"1","b":"2","a":"1"}}"#,
            "/metadata/a",
        ),
        (
            r#"{"currency":"EUR","lines":[],"metadata":{"a/b~":"1","a\/b\u007e":"2"}}"#,
            "/metadata/a~1b~0",
        ),
        (
            r#"{"currency":"EUR","lines":[],"extra":[{"x":{"y":1,"y":1}}]}"#,
            "/extra/0/x/y",
        ),
    ] {
        assert_eq!(
            order_fault(text),
            (
                pointer.to_owned(),
                "this field is given more than once".to_owned()
            ),
            "{text}"
        );
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(from_str::<Value>(&nested(MAX_DEPTH)).is_ok());
    let (pointer, detail) = fault::<Value>(&nested(MAX_DEPTH + 1));
    assert_eq!(
        (pointer, detail.as_str()),
        ("/0".repeat(MAX_DEPTH), "nested more than 32 levels deep")
    );
    fault::<Value>(&"[".repeat(200_000));
    fault::<Value>(&r#"{"a":"#.repeat(50_000));
}

#[test]
fn what_is_not_json_is_a_syntax_error_with_a_place() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":1}x",
        "{} {}",
        "NaN",
        "Infinity",
        "-",
        "01",
        "+5",
        "1e999",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"a\nb\"",
        "\"\\x\"",
        "tru",
        "// a\n1",
        "\u{feff}{}",
        "{\"a\" 1}",
        "{1:2}",
    ] {
        assert!(is_syntax(text), "{text:?}");
    }
    let Err(Refusal::Syntax(reason)) = from_str::<Value>("{\n \"a\": ?}") else {
        panic!()
    };
    assert_eq!(reason, "expected value at line 2 column 7");
}

#[test]
fn shape_errors_point_at_the_place() {
    for (text, pointer, detail) in [
        (r#"[]"#, "", "expected an object, found an array"),
        (r#"["EUR",[]]"#, "", "expected an object, found an array"),
        (r#"{"lines":[]}"#, "/currency", "this field is required"),
        (
            r#"{"currency":5,"lines":[]}"#,
            "/currency",
            "expected a string, found a number",
        ),
        (
            r#"{"currency":null,"lines":[]}"#,
            "/currency",
            "expected a string, found null",
        ),
        (
            r#"{"currency":"EUR","lines":{}}"#,
            "/lines",
            "expected an array, found an object",
        ),
        (
            r#"{"currency":"EUR","lines":[[1]]}"#,
            "/lines/0",
            "expected an object, found an array",
        ),
        (
            r#"{"currency":"EUR","lines":[{"quantity":-1}]}"#,
            "/lines/0/quantity",
            "expected a whole number between 0 and 4294967295",
        ),
        (
            r#"{"currency":"EUR","lines":[{"quantity":1.5}]}"#,
            "/lines/0/quantity",
            "expected a whole number between 0 and 4294967295, found a number with a fraction or exponent",
        ),
        (
            r#"{"currency":"EUR","lines":[{"quantity":1,"price":0}]}"#,
            "/lines/0/price",
            "unknown field; known here are `quantity`",
        ),
        (
            r#"{"currency":"EUR","lines":[],"capture":"later"}"#,
            "/capture",
            "expected one of `automatic`, `manual`",
        ),
        (
            r#"{"currency":"EUR","lines":[],"capture":{"manual":null}}"#,
            "/capture",
            "expected a string, found an object",
        ),
        (
            r#"{"currency":"EUR","lines":[],"metadata":{"a":1}}"#,
            "/metadata/a",
            "expected a string, found a number",
        ),
        (
            r#"{"currency":"EUR","lines":[],"code":"short"}"#,
            "/code",
            "must have 8 letters",
        ),
    ] {
        assert_eq!(
            order_fault(text),
            (pointer.to_owned(), detail.to_owned()),
            "{text}"
        );
    }
    assert!(fault::<(u8, u8)>("[1,2,3]").1.contains("2 items"));
}

#[test]
fn values_and_odd_names_are_never_repeated() {
    for text in [
        r#""CANARY-4f1c""#.to_owned(),
        format!(r#"{{"currency":"EUR","lines":"{CANARY}"}}"#),
        format!(r#"{{"currency":"EUR","lines":[{{"quantity":"{CANARY}"}}]}}"#),
        format!(r#"{{"currency":"EUR","lines":[],"capture":"{CANARY}"}}"#),
        format!(r#"{{"currency":"EUR","lines":[],"code":"{CANARY}"}}"#),
        format!(r#"{{"currency":"EUR","lines":[],"code":"{CANARY}\"\\\n"}}"#),
        format!(r#"{{"currency":"EUR","lines":[],"{CANARY}@example.com":1}}"#),
        format!(r#"{{"currency":"EUR","lines":[],"{CANARY}, expected `x`":1}}"#),
        format!(
            r#"{{"currency":"EUR","lines":[],"extra":{{"{CANARY}{}":1,"{CANARY}{}":1}}}}"#,
            "x".repeat(60),
            "x".repeat(60)
        ),
    ] {
        let (pointer, detail) = order_fault(&text);
        assert!(
            !pointer.contains("CANARY") && !detail.contains("CANARY"),
            "{pointer}: {detail}"
        );
    }
    let (pointer, _) = order_fault(r#"{"currency":"EUR","lines":[],"4242424242424242":1}"#);
    assert_eq!(
        pointer, "",
        "a name that could be a card number is not repeated"
    );
    let (_, detail) = order_fault(r#"{"currency":"EUR","lines":[],"code":"careless"}"#);
    assert_eq!(detail, "this value is not accepted");
    let tagged = format!(r#"{{"kind":"{CANARY}"}}"#);
    assert!(!fault::<Tagged>(&tagged).1.contains("CANARY"));
    let (pointer, detail) = fault::<Tagged>(&format!(r#"{{"kind":"card","digits":"{CANARY}"}}"#));
    assert_eq!(
        (pointer.as_str(), detail.contains("CANARY")),
        ("", false),
        "serde loses the place inside tagged enums"
    );
}

#[test]
fn wide_documents_are_read_in_reasonable_time() {
    let entries: Vec<String> = (0..20_000)
        .map(|index| format!(r#""k{index}":0"#))
        .collect();
    let started = std::time::Instant::now();
    let text = format!("{{{},\"k0\":1}}", entries.join(","));
    assert_eq!(fault::<Value>(&text).0, "/k0");
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
}
