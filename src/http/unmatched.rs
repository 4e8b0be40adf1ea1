//! What no route of the table answers.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::problem::{Problem, Slug};
use super::routes::ROUTES;

pub async fn unknown_route(request: HttpRequest) -> HttpResponse {
    Problem::not_found("the resource").respond(&request)
}

pub async fn unknown_method(request: HttpRequest) -> HttpResponse {
    let path = request.match_pattern().unwrap_or_default();
    let verbs: Vec<&str> = ROUTES.iter().filter(|route| route.path == path).map(|route| route.verb.as_str()).collect();
    let allowed = verbs.join(", ");
    let allow = HeaderValue::from_str(&allowed).expect("verbs are ASCII");
    Problem::new(Slug::MethodNotAllowed, format!("this resource knows {allowed}"))
        .with_header(header::ALLOW, allow)
        .respond(&request)
}
