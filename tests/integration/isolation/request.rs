//! Requests made from the server's own document, with the ids of a salon wherever one belongs.

use codeccloud::clock::SystemClock;
use codeccloud::http::Route;
use codeccloud_actors::ports::Clock as _;
use codeccloud_actors::time::DAY_MS;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Ids;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// How many ids of a salon are in it.
    pub ids: usize,
}

impl Request {
    /// `in_path` are the ids of its path, `elsewhere` those of query and body.
    pub fn of(route: &Route, document: &Value, in_path: &Ids, elsewhere: &Ids) -> Request {
        let what = format!("{} {}", route.verb.as_str(), route.path);
        let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
        let mut path = route.path.to_owned();
        let mut ids = 0;
        for name in route.path_parameters() {
            let value = match in_path.get(name) {
                Some(id) => {
                    ids += 1;
                    id.clone()
                }
                None if name == "date" => "2031-12-24".to_owned(),
                None => panic!("{what}: say in `Salons::ids` what {{{name}}} is in each salon"),
            };
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        let mut sample = Sample { what: &what, document, ids: elsewhere, used: 0 };
        path.push_str(&sample.query(operation));
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let body = schema.is_object().then(|| with_path_ids(sample.of("", schema), in_path, route));
        let method = route.verb.as_str().parse().unwrap();
        Request { method, path, body, ids: ids + sample.used }
    }
}

/// Some bodies repeat an id of the path, and are refused where the two differ.
fn with_path_ids(mut body: Value, in_path: &Ids, route: &Route) -> Value {
    for name in route.path_parameters() {
        if let (Some(field), Some(id)) = (body.get_mut(name), in_path.get(name)) {
            *field = json!(id);
        }
    }
    body
}

struct Sample<'a> {
    what: &'a str,
    document: &'a Value,
    ids: &'a Ids,
    used: usize,
}

impl Sample<'_> {
    /// All ids and whatever is required.
    fn query(&mut self, operation: &Value) -> String {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let mut pairs = Vec::new();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            if parameter["required"] == true || self.ids.contains_key(name) {
                let value = self.of(name, &parameter["schema"]);
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                pairs.push(format!("{name}={text}"));
            }
        }
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    fn of(&mut self, name: &str, schema: &Value) -> Value {
        let schema = resolved(self.document, schema);
        if let Some(id) = self.ids.get(name) {
            self.used += 1;
            return json!(id);
        }
        if schema["format"] == "date" {
            return json!("2031-06-03");
        }
        if let Some(value) = field(name) {
            return value;
        }
        let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
        match kind.as_str() {
            Some("object") => self.object(name, schema),
            Some("array") if name.ends_with("Ids") => json!([self.of(name.trim_end_matches('s'), &schema["items"])]),
            Some("array") => json!([self.of(name, &schema["items"])]),
            Some("integer") => schema["minimum"].as_i64().map_or(json!(1), |minimum| json!(minimum.max(1))),
            Some("boolean") => json!(false),
            Some("string") => schema["enum"].as_array().map_or(json!("text"), |values| values[0].clone()),
            Some(_) | None => panic!("{}: say in `request::field` what {name} may be: {schema}", self.what),
        }
    }

    fn object(&mut self, parent: &str, schema: &Value) -> Value {
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            // The id of what a field holds is named after the field.
            let name_of_id = if name == "id" { format!("{parent}Id") } else { name.clone() };
            object.insert(name.clone(), self.of(&name_of_id, property));
        }
        Value::Object(object)
    }
}

/// What a field holds that the rules of a request bind to more than its type.
fn field(name: &str) -> Option<Value> {
    let value = match name {
        "from" | "slotStart" | "start" => "2031-06-03T07:00:00Z",
        "slotEnd" | "end" => "2031-06-03T07:30:00Z",
        "to" => "2031-06-04T07:00:00Z",
        "color" => "#7c8794",
        "email" => "anna@example.ch",
        "phone" => "+41 79 000 00 00",
        "currency" => "CHF",
        "url" => "https://example.ch/hook",
        "role" => "staff",
        _ => return whole(name),
    };
    Some(json!(value))
}

fn whole(name: &str) -> Option<Value> {
    match name {
        "durationMinutes" => Some(json!(30)),
        "intervals" | "exceptions" | "eventTypes" => Some(json!([])),
        "expiresAt" => Some(json!(SystemClock.now().plus_millis(DAY_MS))),
        // A user, who is no more a salon's than another's.
        "userId" | "weekly" => Some(Value::Null),
        _ => None,
    }
}

/// Follows references, and takes the first of several kinds.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return resolved(document, document.pointer(reference.trim_start_matches('#')).unwrap());
    }
    match schema["anyOf"].as_array().or(schema["oneOf"].as_array()).or(schema["allOf"].as_array()) {
        Some(kinds) => resolved(document, &kinds[0]),
        None => schema,
    }
}
