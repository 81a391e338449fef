//! Form bodies with bracket nesting: `line_items[0][price_data][currency]=usd`, `expand[]=a`.

const PAIR_LIMIT: usize = 5_000;
const DEPTH_LIMIT: usize = 8;

/// A value of a form: text, or named children in the order they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A plain value.
    Text(String),
    /// A hash or an array: arrays are hashes with numbers for names.
    Map(Vec<(String, Node)>),
}

/// Parses a body or a query string; the error is a sentence for the client.
pub fn parse(text: &str) -> Result<Vec<(String, Node)>, String> {
    let mut root = Vec::new();
    for (at, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if at >= PAIR_LIMIT {
            return Err("Too many parameters.".into());
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let path = split(&name);
        if path.len() > DEPTH_LIMIT {
            return Err(format!("Parameter is nested too deeply: {name}"));
        }
        insert(&mut root, &path, value).map_err(|()| format!("Invalid parameter: {name}"))?;
    }
    Ok(root)
}

/// A text that is the same for the same parameters in whatever order: what a key is compared by.
pub fn canonical(fields: &[(String, Node)]) -> String {
    let mut pairs = Vec::new();
    flatten("", fields, &mut pairs);
    pairs.sort();
    pairs.join("&")
}

fn flatten(prefix: &str, fields: &[(String, Node)], pairs: &mut Vec<String>) {
    for (name, node) in fields {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}[{name}]")
        };
        match node {
            // Debug quoting keeps a value with `&` apart from two values.
            Node::Text(text) => pairs.push(format!("{path:?}={text:?}")),
            Node::Map(children) => flatten(&path, children, pairs),
        }
    }
}

fn insert(fields: &mut Vec<(String, Node)>, path: &[&str], value: String) -> Result<(), ()> {
    let Some((&name, rest)) = path.split_first() else {
        return Err(());
    };
    // `a[]` appends.
    let name = if name.is_empty() {
        fields.len().to_string()
    } else {
        name.to_owned()
    };
    let at = match fields.iter().position(|(known, _)| *known == name) {
        Some(at) => at,
        None => {
            let empty = if rest.is_empty() {
                Node::Text(String::new())
            } else {
                Node::Map(vec![])
            };
            fields.push((name, empty));
            fields.len() - 1
        }
    };
    match (&mut fields[at].1, rest) {
        (Node::Text(text), []) => *text = value,
        (Node::Map(children), [_, ..]) => insert(children, rest, value)?,
        // The same name as a value and as a hash.
        _ => return Err(()),
    }
    Ok(())
}

/// `a[b][]` to `["a", "b", ""]`; a name whose brackets don't match is taken as it is.
fn split(name: &str) -> Vec<&str> {
    let Some(open) = name.find('[').filter(|&at| at > 0) else {
        return vec![name];
    };
    let mut parts = vec![&name[..open]];
    let mut rest = &name[open..];
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((part, after)) = inner.filter(|(part, _)| !part.contains('[')) else {
            return vec![name];
        };
        parts.push(part);
        rest = after;
    }
    parts
}

fn decode(text: &str) -> Result<String, String> {
    let invalid = || "Invalid UTF-8 or percent-encoding in the request.".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2).ok_or_else(invalid)?;
                let (high, low) = (hex(digits[0]), hex(digits[1]));
                bytes.push(high.zip(low).map(|(h, l)| h * 16 + l).ok_or_else(invalid)?);
                rest = after;
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Node {
        Node::Text(value.into())
    }

    #[test]
    fn brackets_nest_and_empty_brackets_append() {
        let parsed = parse("a[0][b]=1&a[0][c]=2&e[]=x&e%5B%5D=y+%26").expect("valid");
        let item = Node::Map(vec![("b".into(), text("1")), ("c".into(), text("2"))]);
        let list = Node::Map(vec![("0".into(), text("x")), ("1".into(), text("y &"))]);
        let wanted = vec![
            ("a".into(), Node::Map(vec![("0".into(), item)])),
            ("e".into(), list),
        ];
        assert_eq!(parsed, wanted);
    }

    #[test]
    fn the_last_of_equal_names_wins_and_odd_brackets_are_a_name() {
        assert_eq!(
            parse("a=1&a=2").expect("valid"),
            vec![("a".into(), text("2"))]
        );
        assert_eq!(
            parse("a[b=1").expect("valid"),
            vec![("a[b".into(), text("1"))]
        );
        assert_eq!(
            parse("[a]=1").expect("valid"),
            vec![("[a]".into(), text("1"))]
        );
        assert_eq!(parse("a").expect("valid"), vec![("a".into(), text(""))]);
        assert_eq!(parse("&&").expect("valid"), vec![]);
    }

    #[test]
    fn contradictions_bad_escapes_and_deep_nests_are_refused() {
        assert!(parse("a=1&a[b]=2").is_err());
        assert!(parse("a[b]=2&a=1").is_err());
        assert!(parse("a=%zz").is_err());
        assert!(parse("a=%4").is_err());
        assert!(parse("a=%ff").is_err());
        assert!(parse("a[1][2][3][4][5][6][7][8]=x").is_err());
    }

    #[test]
    fn order_does_not_matter_for_the_canonical_text_but_values_do() {
        let canon = |text: &str| canonical(&parse(text).expect("valid"));
        assert_eq!(canon("a=1&b[c]=2"), canon("b[c]=2&a=1"));
        assert_ne!(canon("a=1%26b=2"), canon("a=1&b=2"));
    }
}
