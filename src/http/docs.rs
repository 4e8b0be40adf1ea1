//! The API's document to read: one page without scripts and without any other host.

use std::fmt::Write;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde_json::Value;

use super::openapi::{DOCUMENT, operation_id, tag};
use super::route::Route;
use super::routes::ROUTES;

const STYLE: &str = include_str!("docs.css");
static PAGE: LazyLock<String> = LazyLock::new(|| page(ROUTES, &DOCUMENT));

/// For the page's own style sheet; nothing else may be loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

pub async fn serve() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", POLICY))
        .body(PAGE.as_str())
}

fn page(routes: &[Route], document: &Value) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>CodecCloud API</title>");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>");
    html.raw(STYLE);
    html.raw("</style></head><body><header><h1>CodecCloud API</h1>");
    html.raw(
        "<p>JSON over HTTP. Send <code>Authorization: Bearer …</code> and <code>X-Workspace-ID</code>; with each ",
    );
    html.raw("<code>POST</code> an <code>Idempotency-Key</code>. Problems are <code>application/problem+json</code>. ");
    html.raw("For programs: <a href=\"/openapi.json\">openapi.json</a>.</p></header><main>");
    let mut tags: Vec<&str> = routes.iter().map(tag).collect();
    tags.dedup();
    for tag_name in tags {
        html.tag("h2", tag_name);
        for route in routes.iter().filter(|route| tag(route) == tag_name) {
            endpoint(&mut html, route, &document["paths"][route.path][route.verb.as_str().to_lowercase()]);
        }
    }
    html.raw("<h2>Types</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        html.raw(&format!("<section id=\"{name}\">"));
        html.tag("h3", name);
        described(&mut html, schema);
        fields(&mut html, schema);
        html.raw("</section>");
    }
    html.raw("</main></body></html>");
    html.0
}

fn endpoint(html: &mut Html, route: &Route, operation: &Value) {
    let verb = route.verb.as_str();
    html.raw(&format!("<details id=\"{}\"><summary><b class=\"{verb}\">{verb}</b> ", operation_id(route)));
    html.tag("code", route.path);
    html.tag("span", route.summary);
    html.raw("</summary>");
    described(html, operation);
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        html.raw("<h4>Parameters</h4><table>");
        for parameter in parameters {
            let required = parameter["required"] == true;
            let place = parameter["in"].as_str().unwrap_or_default();
            row(html, &parameter["name"], place, required, &parameter["schema"], &parameter["description"]);
        }
        html.raw("</table>");
    }
    if let Some(body) = json_schema(&operation["requestBody"]) {
        html.raw("<h4>Body</h4><p>");
        html.raw(&kind(body));
        html.raw("</p>");
    }
    html.raw("<h4>Answers</h4><table>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        html.raw("<tr>");
        html.tag("td", status);
        html.raw(&format!("<td>{}</td>", json_schema(response).map(kind).unwrap_or_default()));
        html.tag("td", response["description"].as_str().unwrap_or_default());
        html.raw("</tr>");
    }
    html.raw("</table></details>");
}

fn described(html: &mut Html, of: &Value) {
    if let Some(description) = of["description"].as_str() {
        html.tag("p", description);
    }
}

fn fields(html: &mut Html, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return html.raw(&format!("<p>{}</p>", kind(schema)));
    };
    html.raw("<table>");
    for (name, field) in properties {
        let required = schema["required"].as_array().is_some_and(|required| required.contains(&name.as_str().into()));
        row(html, &Value::from(name.as_str()), "", required, field, &field["description"]);
    }
    html.raw("</table>");
}

fn row(html: &mut Html, name: &Value, place: &str, required: bool, schema: &Value, description: &Value) {
    html.raw("<tr><td>");
    html.tag("code", name.as_str().unwrap_or_default());
    html.raw("</td><td>");
    html.raw(&kind(schema));
    html.raw("</td>");
    html.tag("td", &[place, if required { "required" } else { "" }].join(" "));
    html.tag("td", description.as_str().unwrap_or_default());
    html.raw("</tr>");
}

fn json_schema(of: &Value) -> Option<&Value> {
    of["content"].get("application/json").map(|content| &content["schema"])
}

/// A schema in one line; named types are links.
fn kind(schema: &Value) -> String {
    let mut html = Html::default();
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        html.raw(&format!("<a href=\"#{name}\">{name}</a>"));
    } else if let Some(any) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        html.raw(&any.iter().map(kind).collect::<Vec<_>>().join(" | "));
    } else if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        html.text(&values.join(" | "));
    } else if let Some(value) = schema["const"].as_str() {
        html.text(value);
    } else if schema["items"].is_object() {
        html.raw(&format!("list of {}", kind(&schema["items"])));
    } else {
        let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
        html.text(&kinds.join(" | "));
        if let Some(format) = schema["format"].as_str() {
            html.text(&format!(" ({format})"));
        }
    }
    html.0
}

#[derive(Default)]
struct Html(String);

impl Html {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '&' => self.raw("&amp;"),
                '"' => self.raw("&quot;"),
                other => self.0.push(other),
            }
        }
    }

    fn tag(&mut self, name: &str, text: &str) {
        write!(self.0, "<{name}>").expect("a String takes any text");
        self.text(text);
        write!(self.0, "</{name}>").expect("a String takes any text");
    }
}
