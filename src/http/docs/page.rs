//! The page: navigation by tag, every operation, every schema.

use std::fmt::Write;

use serde_json::{Map, Value};
use utoipa::OpenApi;

use super::super::openapi::Document;
use super::super::problem_page::{escape, prose};
use super::schema::Schemas;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One operation with where it is.
struct Operation<'d> {
    method: &'static str,
    path: &'d str,
    body: &'d Value,
}

impl Operation<'_> {
    fn id(&self) -> String {
        escape(self.body["operationId"].as_str().unwrap_or_default())
    }

    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.body["tags"]
            .as_array()
            .is_some_and(|tags| tags.iter().any(|each| each == tag))
    }

    /// The keys it takes.
    fn keys(&self) -> Vec<&str> {
        let schemes = self.body["security"].as_array().into_iter().flatten();
        schemes
            .filter_map(Value::as_object)
            .flat_map(|scheme| scheme.keys().map(String::as_str))
            .collect()
    }

    /// Whether it may be called without any.
    fn is_open(&self) -> bool {
        let mut schemes = self.body["security"].as_array().into_iter().flatten();
        schemes.any(|scheme| scheme.as_object().is_none_or(Map::is_empty))
    }
}

/// The document, for what it says once and refers to.
struct Parts<'d>(&'d Value);

impl<'d> Parts<'d> {
    /// The part itself, or what it refers to.
    fn resolve(&self, part: &'d Value) -> &'d Value {
        let place = part["$ref"]
            .as_str()
            .and_then(|place| place.strip_prefix('#'));
        place
            .and_then(|place| self.0.pointer(place))
            .unwrap_or(part)
    }
}

/// The whole page.
pub fn html(style: &str) -> String {
    let source = Document::openapi();
    let document = serde_json::to_value(&source).expect("the document has string keys only");
    let schemas = Schemas(&document["components"]["schemas"]);
    let parts = Parts(&document);
    let mut operations = Vec::new();
    for path in source.paths.paths.keys() {
        for method in METHODS {
            if let Some(body) = document["paths"][path].get(method) {
                operations.push(Operation { method, path, body });
            }
        }
    }
    let tags: Vec<(&str, &str)> = document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tag| {
            let text = |field: &str| tag[field].as_str().unwrap_or_default();
            (text("name"), text("description"))
        })
        .collect();
    let mut main = introduction(&document);
    for (tag, text) in &tags {
        let _ = write!(
            main,
            "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{}</h2><p class=\"soft\">{}.</p>",
            escape(tag),
            prose(text),
            id = anchor(tag),
        );
        for each in operations.iter().filter(|each| each.has_tag(tag)) {
            main.push_str(&operation(each, &schemas, &parts));
        }
        main.push_str("</section>");
    }
    main.push_str(&all_schemas(&schemas));
    let nav = navigation(&tags, &operations);
    let title = escape(document["info"]["title"].as_str().unwrap_or_default());
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} API</title><style>{style}</style></head>\
         <body><nav aria-label=\"Contents\">{nav}</nav><main>{main}</main></body></html>"
    )
}

fn anchor(tag: &str) -> String {
    format!("tag-{}", escape(&tag.to_lowercase().replace(' ', "-")))
}

fn navigation(tags: &[(&str, &str)], operations: &[Operation<'_>]) -> String {
    let mut html = String::from("<a class=\"home\" href=\"#top\">Till <span>API</span></a>");
    for (tag, _) in tags {
        let _ = write!(
            html,
            "<h3><a href=\"#{}\">{}</a></h3><ul>",
            anchor(tag),
            escape(tag)
        );
        for each in operations.iter().filter(|each| each.has_tag(tag)) {
            let _ = write!(
                html,
                "<li><a href=\"#{}\"><span class=\"method {m}\">{m}</span>{}</a></li>",
                each.id(),
                escape(each.text("summary")),
                m = each.method,
            );
        }
        html.push_str("</ul>");
    }
    html.push_str(
        "<h3><a href=\"#schemas\">Schemas</a></h3>\
         <ul><li><a href=\"/problems\">Problems</a></li>\
         <li><a href=\"/openapi.json\">openapi.json</a></li></ul>",
    );
    html
}

fn introduction(document: &Value) -> String {
    let info = |field: &str| document["info"][field].as_str().unwrap_or_default();
    let mut html = format!(
        "<header id=\"top\"><h1>{} API <span class=\"version\">{}</span></h1><p>{}</p>",
        escape(info("title")),
        escape(info("version")),
        prose(info("description"))
    );
    html.push_str("<h2>Keys</h2><dl class=\"plain\">");
    let schemes = document["components"]["securitySchemes"].as_object();
    for (name, scheme) in schemes.into_iter().flatten() {
        let _ = write!(
            html,
            "<dt>{}</dt><dd>{} Sent as <code>Authorization: Bearer …</code>.</dd>",
            escape(&words(name)),
            prose(scheme["description"].as_str().unwrap_or_default())
        );
    }
    html.push_str(
        "</dl><h2>Errors</h2><p>Every error is a problem with a <code>code</code> to branch on, described by the \
         schema <a href=\"#schema-Problem\">Problem</a>. <a href=\"/problems\">Every code</a> has a page that \
         says what to do next.</p></header>",
    );
    html
}

/// `secret_key` as `Secret key`.
fn words(name: &str) -> String {
    let mut text = name.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn operation<'d>(of: &Operation<'d>, schemas: &Schemas<'d>, parts: &Parts<'d>) -> String {
    let mut html = format!(
        "<article id=\"{id}\"><h3><a href=\"#{id}\">{}</a></h3>\
         <p class=\"where\"><span class=\"method {m}\">{m}</span><code>{}</code></p>",
        escape(of.text("summary")),
        path(of.path),
        id = of.id(),
        m = of.method,
    );
    for paragraph in of.text("description").split("\n\n") {
        if !paragraph.is_empty() {
            let _ = write!(html, "<p>{}</p>", prose(paragraph));
        }
    }
    let keys = of.keys();
    let keys = match keys.is_empty() {
        true => "No API key needed".to_owned(),
        false => {
            let names: Vec<String> = keys.iter().map(|key| escape(&words(key))).collect();
            let names = names.join(" or ").replace(" or P", " or p");
            if of.is_open() {
                names + ", or none"
            } else {
                names
            }
        }
    };
    let _ = write!(html, "<p class=\"keys\">{keys}</p>");
    html.push_str(&parameters(of, schemas, parts));
    html.push_str(&request(of, schemas));
    html.push_str(&responses(of, schemas));
    html.push_str("</article>");
    html
}

/// A path that may break after its slashes, its parameters marked.
fn path(text: &str) -> String {
    escape(text)
        .replace('{', "<var>{")
        .replace('}', "}</var>")
        .replace('/', "/<wbr>")
        .replace("</<wbr>var>", "</var>")
}

fn parameters<'d>(of: &Operation<'d>, schemas: &Schemas<'d>, parts: &Parts<'d>) -> String {
    let Some(all) = of.body["parameters"].as_array() else {
        return String::new();
    };
    let all: Vec<&Value> = all.iter().map(|each| parts.resolve(each)).collect();
    let mut html = String::new();
    for (place, title) in [
        ("path", "In the path"),
        ("query", "In the query"),
        ("header", "Headers"),
    ] {
        let mut rows = String::new();
        for each in all.iter().filter(|each| each["in"] == place) {
            let text = |field: &str| each[field].as_str().unwrap_or_default();
            let required = each["required"] == true;
            rows.push_str(&schemas.row(
                text("name"),
                &each["schema"],
                required,
                text("description"),
            ));
        }
        if !rows.is_empty() {
            let _ = write!(html, "<h4>{title}</h4><dl>{rows}</dl>");
        }
    }
    html
}

fn request<'d>(of: &Operation<'d>, schemas: &Schemas<'d>) -> String {
    let body = &of.body["requestBody"];
    let mut html = String::new();
    for (kind, content) in body["content"].as_object().into_iter().flatten() {
        let _ = write!(
            html,
            "<h4>Body <code class=\"media\">{}</code></h4>",
            escape(kind)
        );
        if let Some(text) = body["description"].as_str() {
            let _ = write!(html, "<p>{}.</p>", prose(text));
        }
        html.push_str(&schemas.fields(&content["schema"], 0));
        let example = match content.get("example") {
            Some(example) => example.clone(),
            None => schemas.example(&content["schema"], 0),
        };
        // Bytes that are passed on have no fields to show.
        if example.as_object().is_some_and(|fields| !fields.is_empty()) {
            html.push_str(&folded("Example", &json(&example), true));
        }
    }
    html
}

fn responses<'d>(of: &Operation<'d>, schemas: &Schemas<'d>) -> String {
    let mut html = String::from("<h4>Answers</h4><ul class=\"answers\">");
    for (status, answer) in of.body["responses"].as_object().into_iter().flatten() {
        let good = status.starts_with('2');
        let class = if good { "good" } else { "bad" };
        let _ = write!(
            html,
            "<li><span class=\"status {class}\">{}</span><div>{}",
            escape(status),
            linked(answer)
        );
        for (kind, content) in answer["content"].as_object().into_iter().flatten() {
            let schema = &content["schema"];
            let _ = write!(
                html,
                " <span class=\"media\"><code>{}</code> {}</span>",
                escape(kind),
                schemas.kind(schema)
            );
            let fields = schemas.fields(schema, 0);
            if good && !fields.is_empty() {
                html.push_str(&folded("Fields", &fields, false));
                let example = match content.get("example") {
                    Some(example) => example.clone(),
                    None => schemas.example(schema, 0),
                };
                html.push_str(&folded("Example", &json(&example), false));
            }
        }
        html.push_str(&sent_headers(answer));
        html.push_str("</div></li>");
    }
    html.push_str("</ul>");
    html
}

/// What an answer is, each of its problems with a link to its page.
fn linked(answer: &Value) -> String {
    let mut html = prose(answer["description"].as_str().unwrap_or_default());
    let content = answer["content"].as_object().into_iter().flatten();
    for code in content
        .filter_map(|(_, content)| content["examples"].as_object())
        .flat_map(Map::keys)
    {
        let code = escape(code);
        let shown = format!("<code>{code}</code>");
        html = html.replace(&shown, &format!("<a href=\"/problems/{code}\">{shown}</a>"));
    }
    html
}

/// The headers an answer has of its own; every answer has a `Request-Id`.
fn sent_headers(answer: &Value) -> String {
    let names = answer["headers"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys);
    let names: Vec<String> = names
        .filter(|name| *name != "Request-Id")
        .map(|name| format!("<code>{}</code>", escape(name)))
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" <span class=\"media\">with {}</span>", names.join(", ")),
    }
}

fn all_schemas(schemas: &Schemas<'_>) -> String {
    let mut html =
        String::from("<section aria-labelledby=\"schemas\"><h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in schemas.0.as_object().into_iter().flatten() {
        let fields = schemas.fields(schema, 0);
        if fields.is_empty() {
            continue;
        }
        let text = schema["description"].as_str().unwrap_or_default();
        let _ = write!(
            html,
            "<details class=\"schema\" id=\"schema-{name}\"><summary><code>{name}</code></summary><p>{}</p>{fields}</details>",
            prose(text),
            name = escape(name),
        );
    }
    html.push_str("</section>");
    html
}

fn json(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    format!("<pre tabindex=\"0\"><code>{}</code></pre>", escape(&text))
}

fn folded(title: &str, content: &str, open: bool) -> String {
    let open = if open { " open" } else { "" };
    format!("<details{open}><summary>{title}</summary>{content}</details>")
}

#[cfg(test)]
mod tests {
    //! What the page must not do, and what it must hold.

    use super::*;

    #[test]
    fn text_of_the_document_is_escaped() {
        assert_eq!(
            path("/v1/{id}/<b>"),
            "/<wbr>v1/<wbr><var>{id}</var>/<wbr>&lt;b&gt;"
        );
        let document = serde_json::json!({
            "S": {"type": "object", "properties": {"<i>": {"type": "string", "description": "<script>"}}}
        });
        let html = Schemas(&document).fields(&document["S"], 0);
        assert!(
            html.contains("&lt;script&gt;") && html.contains("&lt;i&gt;"),
            "{html}"
        );
        assert!(!html.contains("<script") && !html.contains("<i>"), "{html}");
    }
}
