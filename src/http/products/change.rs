use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::ProductId;
use codeccloud_actors::money::Money;
use schemars::JsonSchema;
use serde::Deserialize;

use super::product::Product;
use crate::http::execute::{self, Call};
use crate::http::extractors::{Body, explicit_null};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports::{NewProduct, ProductChange};

const NAME_LENGTH_MAX: usize = 120;
const DESCRIPTION_LENGTH_MAX: usize = 2_000;
const MINIMUM_MAX: u32 = 1_000_000;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateProduct {
    /// The salon's own number for it; no two products have the same.
    pub sku: String,
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    /// Below this, more should be ordered; up to 1000000.
    #[serde(default)]
    pub minimum_stock: u32,
}

/// What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeProduct {
    pub sku: Option<String>,
    pub name: Option<String>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "explicit_null")]
    #[schemars(with = "Option<String>")]
    pub description: Option<Option<String>>,
    pub price: Option<Money>,
    pub active: Option<bool>,
    /// Up to 1000000.
    pub minimum_stock: Option<u32>,
}

impl Validate for CreateProduct {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.name("sku", &self.sku, NAME_LENGTH_MAX);
        errors.name("name", &self.name, NAME_LENGTH_MAX);
        errors.length("description", self.description.as_deref().unwrap_or_default(), DESCRIPTION_LENGTH_MAX);
        errors.price("price", self.price);
        errors.within("minimumStock", self.minimum_stock, 0..=MINIMUM_MAX);
    }
}

impl Validate for ChangeProduct {
    fn validate(&self, errors: &mut FieldErrors) {
        for (field, text) in [("sku", &self.sku), ("name", &self.name)] {
            if let Some(text) = text {
                errors.name(field, text, NAME_LENGTH_MAX);
            }
        }
        let description = self.description.as_ref().and_then(Option::as_deref);
        errors.length("description", description.unwrap_or_default(), DESCRIPTION_LENGTH_MAX);
        if let Some(price) = self.price {
            errors.price("price", price);
        }
        errors.within("minimumStock", self.minimum_stock.unwrap_or(0), 0..=MINIMUM_MAX);
    }
}

pub async fn create(door: Data<Door>, call: Call, body: Body<CreateProduct>) -> Result<HttpResponse, Problem> {
    let (session, key) = (&call.session, call.idempotency(body.request_hash)?);
    let new = NewProduct {
        sku: body.value.sku,
        name: body.value.name,
        description: body.value.description,
        price: body.value.price,
        minimum_stock: body.value.minimum_stock,
    };
    let created = door.reference.create_product(session.tenant_id, session.caller, new.clone(), Some(key));
    let (id, replayed) = created.await?;
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/v1/products/{id}")));
    execute::mark_replay(&mut response, replayed);
    Ok(response.json(Product::created(id, new)))
}

pub async fn change(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    path: Path<ProductId>,
    body: Body<ChangeProduct>,
) -> Result<HttpResponse, Problem> {
    let id = *path;
    let change = ProductChange {
        sku: body.value.sku,
        name: body.value.name,
        description: body.value.description,
        price: body.value.price,
        active: body.value.active,
        minimum_stock: body.value.minimum_stock,
    };
    let unless_changed = etag::if_match_content(&request, move |reference| Product::find(reference, id));
    door.reference.change_product(session.tenant_id, session.caller, id, change, unless_changed).await?;
    let reference = door.reference.tenant(session.tenant_id);
    let product = reference.and_then(|reference| Product::find(&reference, id));
    let product = product.ok_or_else(|| Problem::not_found("product"))?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of_content(&product))).json(product))
}
