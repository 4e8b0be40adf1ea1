use codeccloud_actors::ids::ProductId;
use codeccloud_actors::money::Money;
use codeccloud_actors::reference::{self, TenantReference};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ports::NewProduct;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    pub id: ProductId,
    /// The salon's own number for it, unique among its products.
    pub sku: String,
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    pub active: bool,
    /// Below this, more should be ordered.
    pub minimum_stock: u32,
}

impl From<&reference::Product> for Product {
    fn from(product: &reference::Product) -> Product {
        Product {
            id: product.id,
            sku: product.sku.clone(),
            name: product.name.clone(),
            description: product.description.clone(),
            price: product.price,
            active: product.active,
            minimum_stock: product.minimum_stock,
        }
    }
}

impl Product {
    pub fn find(reference: &TenantReference, id: ProductId) -> Option<Product> {
        reference.products.get(&id).map(Product::from)
    }

    /// As it was created, so that a replay of the creation shows what the first answer showed.
    pub fn created(id: ProductId, new: NewProduct) -> Product {
        Product {
            id,
            sku: new.sku,
            name: new.name,
            description: new.description,
            price: new.price,
            active: true,
            minimum_stock: new.minimum_stock,
        }
    }
}
