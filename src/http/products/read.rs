use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::ProductId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::product::Product;
use crate::http::etag;
use crate::http::extractors::Query;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductQuery {
    /// Also those that are not sold any more; absent: false.
    #[serde(default)]
    pub include_inactive: bool,
    /// 1 to 200; absent: 50.
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Validate for ProductQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

pub async fn list(session: Session, Query(query): Query<ProductQuery>) -> Result<HttpResponse, Problem> {
    let products = session.reference.products.values().filter(|product| product.active || query.include_inactive);
    let named = products.map(|product| (product.name.as_str(), product.id.0, product)).collect();
    let page = paging::by_name(named, query.cursor.as_deref(), paging::limit(query.limit))?;
    Ok(HttpResponse::Ok().json(page.map(Product::from)))
}

pub async fn get(session: Session, request: HttpRequest, path: Path<ProductId>) -> Result<HttpResponse, Problem> {
    let product = Product::find(&session.reference, *path).ok_or_else(|| Problem::not_found("product"))?;
    Ok(etag::respond(&request, etag::of_content(&product), &product))
}
