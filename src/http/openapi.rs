//! The OpenAPI 3.1 document, made from the route table and the handlers' own types, so that it can't disagree with them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::idempotency::{KEY_LENGTH_MAX, KEY_LENGTH_MIN};
use super::problem::{self, ProblemBody, Slug};
use super::route::{Access, Content, Route, SchemaOf, Versions};
use super::routes::ROUTES;

/// A version, or the hash of what has none; or any.
const IF_MATCH: &str = "^(\"([0-9]{1,9}|[0-9a-f]{24})\"|\\*)$";

const SCHEMAS: &str = "#/components/schemas/";

/// Of answers, and what they say.
pub const HEADERS: &[(&str, &str)] = &[
    ("ETag", "The version of what is shown, for `If-Match` and `If-None-Match`"),
    ("Link", "The next page, with `rel=\"next\"`; absent on the last one"),
    ("Location", "The path of what was created"),
    ("RateLimit-Limit", "Requests that a user may make of this endpoint in a minute"),
    ("RateLimit-Remaining", "How many of them are left"),
    ("RateLimit-Reset", "Seconds until all of them are there again"),
    ("Retry-After", "Seconds after which it is worth trying again"),
    ("X-Idempotent-Replay", "`true` when an earlier request with this key has been answered with this"),
    ("X-Request-ID", "The request's, or one that was made up"),
];

const LIMITS: [&str; 3] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(ROUTES));
static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());

pub async fn serve() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(TEXT.as_str())
}

fn document(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<ProblemBody<'static>>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[route.verb.as_str().to_lowercase()] = operation(route, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "CodecCloud",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Bookings for salons: availability, bookings, services, staff, customers, loyalty",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "headers": HEADERS.iter().map(described).collect::<Map<_, _>>(),
            "responses": { "Problem": {
                "description": "An RFC 9457 problem",
                "headers": problem_headers(),
                "content": { problem::MEDIA_TYPE: { "schema": problem } },
            } },
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag(route)],
        "parameters": parameters(route, schemas),
        "responses": responses(route, schemas),
        "security": [],
    });
    if let Access::Roles(roles) = route.access {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        operation["security"] = json!([{ "bearer": [] }]);
        operation["description"] = format!("Roles: {}.", roles.join(", ")).into();
        operation["x-roles"] = json!(roles);
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({ "required": true, "content": json_content(body, schemas) });
    }
    operation
}

pub fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", route.verb.as_str().to_lowercase(), words.join("_"))
}

/// The resource: what stands behind the API's version.
pub fn tag(route: &Route) -> &'static str {
    route.path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()).unwrap_or("operation")
}

fn parameters(route: &Route, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters: Vec<Value> = route.path_parameters().map(path_parameter).collect();
    if let Some(query) = route.query {
        parameters.extend(query_parameters(query, schemas));
    }
    let mut header = |name: &str, required: bool, schema: Value| {
        parameters.push(json!({ "name": name, "in": "header", "required": required, "schema": schema }));
    };
    if route.access != Access::Public {
        header("X-Workspace-ID", true, json!({ "type": "string", "format": "uuid" }));
    }
    if route.needs_idempotency_key() {
        let schema = json!({ "type": "string", "minLength": KEY_LENGTH_MIN, "maxLength": KEY_LENGTH_MAX });
        header("Idempotency-Key", true, schema);
    }
    match route.versions {
        Versions::None | Versions::Sent => {}
        Versions::Read => header("If-None-Match", false, json!({ "type": "string" })),
        Versions::Change => header("If-Match", false, json!({ "type": "string", "pattern": IF_MATCH })),
    }
    parameters
}

fn path_parameter(name: &str) -> Value {
    let format = if name == "date" { "date" } else { "uuid" };
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "format": format } })
}

/// The fields of the query's type, which itself is no part of the document.
fn query_parameters(query: SchemaOf, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let reference = query(schemas);
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(SCHEMAS));
    let schema = schemas.definitions_mut().remove(name.expect("query types are structs")).expect("just generated");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let parameter = |(name, field): (String, Value)| {
        let description = field["description"].clone();
        let mut parameter = json!({
            "name": name, "in": "query", "required": required.contains(&json!(name)), "schema": without_null(field),
        });
        if parameter["required"] == false {
            // An empty one is as if it weren't there.
            parameter["allowEmptyValue"] = true.into();
        }
        if description.is_string() {
            parameter["description"] = description;
        }
        parameter
    };
    fields.into_iter().map(parameter).collect()
}

/// A parameter that may be left out is never null.
fn without_null(mut schema: Value) -> Value {
    if let Some([kind, Value::String(null)]) = schema["type"].as_array().map(Vec::as_slice)
        && null == "null"
    {
        schema["type"] = kind.clone();
    }
    if let Some([some, null]) = schema["anyOf"].as_array().map(Vec::as_slice)
        && null["type"] == "null"
    {
        return some.clone();
    }
    schema
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    let mut success = match route.success.content {
        Content::Nothing => json!({ "description": "Done" }),
        Content::Json(schema) => json!({ "description": "Done", "content": json_content(schema, schemas) }),
        Content::Text(media_type) => {
            json!({ "description": "Done", "content": { media_type: { "schema": { "type": "string" } } } })
        }
    };
    success["headers"] = success_headers(route);
    responses.insert(route.success.status, success);
    if route.versions == Versions::Read {
        let headers = headers(["X-Request-ID", "ETag"]);
        responses.insert(304, json!({ "description": "Not modified", "headers": headers }));
    }
    let mut slugs: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for slug in route.problems() {
        slugs.entry(Slug::status(slug)).or_default().push(slug.as_str());
    }
    for (status, slugs) in slugs {
        let reference = json!({ "$ref": "#/components/responses/Problem", "description": slugs.join(", ") });
        responses.insert(status, reference);
    }
    if let Some(schema) = route.unavailable {
        let mut content = json_content(schema, schemas);
        content[problem::MEDIA_TYPE] = json!({ "schema": schemas.subschema_for::<ProblemBody<'static>>() });
        let description = "Unavailable, or an RFC 9457 problem";
        let headers = headers(["X-Request-ID", "Retry-After"]);
        responses.insert(503, json!({ "description": description, "headers": headers, "content": content }));
    }
    responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect()
}

fn success_headers(route: &Route) -> Value {
    let mut names = vec!["X-Request-ID"];
    if route.versions != Versions::None {
        names.push("ETag");
    }
    if route.needs_idempotency_key() {
        names.push("X-Idempotent-Replay");
    }
    if route.rate_limited {
        names.extend(LIMITS);
    }
    headers([names.as_slice(), route.further_headers].concat())
}

/// Whatever a problem may come with: a limit where there is one, a refusal that is repeated.
fn problem_headers() -> Value {
    headers(["X-Request-ID", "Retry-After", "X-Idempotent-Replay"].into_iter().chain(LIMITS))
}

fn headers<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    names.into_iter().map(|name| (name.to_owned(), reference(name))).collect()
}

fn described((name, description): &(&str, &str)) -> (String, Value) {
    ((*name).to_owned(), json!({ "description": description, "schema": { "type": "string" } }))
}

fn json_content(schema: SchemaOf, schemas: &mut SchemaGenerator) -> Value {
    json!({ "application/json": { "schema": schema(schemas) } })
}
