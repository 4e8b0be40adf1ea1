//! What is to be known of an endpoint besides its code: one value that routing, authorisation, metrics and the API's
//! document are all made from.

use actix_web::http::Method;
use codeccloud_actors::envelope::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::problem::Slug;

pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

#[derive(Clone, Copy)]
pub struct Route {
    pub verb: Verb,
    pub path: &'static str,
    pub summary: &'static str,
    pub access: Access,
    pub query: Option<SchemaOf>,
    pub body: Option<SchemaOf>,
    pub success: Success,
    pub versions: Versions,
    /// Besides those that follow from the rest; see [`Route::problems`].
    pub further_problems: &'static [Slug],
    pub rate_limited: bool,
    /// Of its success, besides those that follow from the rest; see `openapi::HEADERS`.
    pub further_headers: &'static [&'static str],
    /// What it says with 503, where that is an answer of its own; a problem is possible then as well.
    pub unavailable: Option<SchemaOf>,
    pub handler: fn() -> actix_web::Route,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Without a token.
    Public,
    Roles(&'static [Role]),
}

#[derive(Clone, Copy)]
pub struct Success {
    pub status: u16,
    pub content: Content,
}

#[derive(Clone, Copy)]
pub enum Content {
    Nothing,
    Json(SchemaOf),
    Text(&'static str),
}

/// How the endpoint deals with `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    None,
    /// Sends it, for the `If-Match` of a change. What the answer shows can change without its version.
    Sent,
    /// Sends it and honours `If-None-Match`.
    Read,
    /// Honours `If-Match` and sends the one that holds afterwards.
    Change,
}

pub const ANYONE: Access = Access::Roles(&Role::ALL);
/// The customer among them sees and changes the own data only, which is decided where the data is.
pub const SALON_AND_CUSTOMER: Access =
    Access::Roles(&[Role::Owner, Role::Manager, Role::Staff, Role::Service, Role::Customer]);
pub const SALON: Access = Access::Roles(&[Role::Owner, Role::Manager, Role::Staff, Role::Service]);
pub const MEMBERS: Access = Access::Roles(&[Role::Owner, Role::Manager, Role::Staff]);
pub const MANAGERS: Access = Access::Roles(&[Role::Owner, Role::Manager]);

impl Route {
    pub const fn new(verb: Verb, path: &'static str, access: Access, handler: fn() -> actix_web::Route) -> Route {
        Route {
            verb,
            path,
            summary: "",
            access,
            query: None,
            body: None,
            success: Success { status: 204, content: Content::Nothing },
            versions: Versions::None,
            further_problems: &[],
            rate_limited: false,
            further_headers: &[],
            unavailable: None,
            handler,
        }
    }

    /// Repeating a POST must not repeat what it does.
    pub fn needs_idempotency_key(&self) -> bool {
        self.verb == Verb::Post
    }

    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }

    /// Every kind of problem that the endpoint can answer with, by status.
    pub fn problems(&self) -> Vec<Slug> {
        let asks = |condition: bool, slugs: &[Slug]| if condition { slugs.to_vec() } else { Vec::new() };
        let mut problems = [
            asks(self.access != Access::Public, &[Slug::Unauthorized, Slug::Forbidden]),
            asks(self.needs_idempotency_key(), &[Slug::BadRequest, Slug::IdempotencyConflict]),
            asks(self.needs_idempotency_key(), &[Slug::PayloadTooLarge, Slug::UnsupportedMediaType]),
            asks(self.body.is_some(), &[Slug::BadRequest, Slug::PayloadTooLarge, Slug::UnsupportedMediaType]),
            asks(self.body.is_some() || self.query.is_some(), &[Slug::ValidationError]),
            asks(self.path.contains('{'), &[Slug::NotFound]),
            asks(self.versions == Versions::Change, &[Slug::BadRequest, Slug::PreconditionFailed]),
            asks(self.rate_limited, &[Slug::RateLimited]),
            asks(true, &[Slug::InternalError]),
            asks(self.unavailable.is_none(), &[Slug::Unavailable]),
            self.further_problems.to_vec(),
        ]
        .concat();
        problems.sort_unstable_by_key(|slug| (slug.status(), *slug));
        problems.dedup();
        problems
    }
}

impl Verb {
    pub fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        }
    }

    pub fn of(method: &Method) -> Option<Verb> {
        [Verb::Get, Verb::Post, Verb::Put, Verb::Patch, Verb::Delete].into_iter().find(|verb| verb.method() == *method)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }
}

impl Access {
    pub fn allows(self, role: Role) -> bool {
        match self {
            Access::Public => true,
            Access::Roles(roles) => roles.contains(&role),
        }
    }
}

pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

pub const fn ok<T: JsonSchema>() -> Success {
    Success { status: 200, content: Content::Json(schema::<T>) }
}

pub const fn created<T: JsonSchema>() -> Success {
    Success { status: 201, content: Content::Json(schema::<T>) }
}

pub const fn text(media_type: &'static str) -> Success {
    Success { status: 200, content: Content::Text(media_type) }
}

/// What a calendar day is in the document.
pub fn calendar_day(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date", "examples": ["2030-01-31"] })
}
