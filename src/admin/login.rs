use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::Admin;
use super::access::{COOKIE, Refusal};
use super::html::{self, Text};

const FORM: &str = include_str!("login.html");
const INVALID: &str = "The token is not valid, or has expired.";
const FORBIDDEN: &str = "This page is for managers and owners.";

#[derive(Deserialize)]
pub struct Entry {
    #[serde(default)]
    token: String,
}

pub async fn form() -> HttpResponse {
    html::page(StatusCode::OK, filled(""))
}

/// What is no form of ours is a form without a token.
pub async fn enter(admin: Data<Admin>, request: HttpRequest, entry: Option<Form<Entry>>) -> HttpResponse {
    let token = entry.as_ref().map_or("", |entry| entry.token.trim());
    match admin.newcomer(token).await {
        Ok(visitor) => {
            let life = visitor.expires_at.as_millis().saturating_sub(admin.ports.clock.now().as_millis());
            html::redirect("/admin").cookie(cookie(&request, token, Duration::milliseconds(life))).finish()
        }
        Err(Refusal::SignedOut) => html::page(StatusCode::UNAUTHORIZED, filled(INVALID)),
        Err(Refusal::Forbidden) => forbidden(),
    }
}

pub async fn leave(request: HttpRequest) -> HttpResponse {
    html::redirect("/admin/login").cookie(cookie(&request, "", Duration::ZERO)).finish()
}

pub fn forbidden() -> HttpResponse {
    html::page(StatusCode::FORBIDDEN, filled(FORBIDDEN))
}

fn filled(message: &str) -> String {
    html::fill(FORM, &[("message", &Text(message).to_string())])
}

fn cookie<'a>(request: &HttpRequest, token: &'a str, life: Duration) -> Cookie<'a> {
    Cookie::build(COOKIE, token)
        .path("/admin")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(request.connection_info().scheme() == "https")
        .max_age(life)
        .finish()
}
