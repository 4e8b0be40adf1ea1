use tokio_postgres::types::Type;
use uuid::Uuid;

use super::change::{Change, found};
use super::checks;
use crate::ports::{NewProduct, ProductChange, ReferenceError};

pub(super) async fn create(change: &Change<'_>, id: Uuid, new: NewProduct) -> Result<(), ReferenceError> {
    checks::name("sku", &new.sku)?;
    checks::name("name", &new.name)?;
    let sql = "INSERT INTO products (tenant_id, id, sku, name, description, price_cents, currency) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let price_cents = checks::price_cents(new.price)?;
    change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&new.sku, Type::TEXT),
                (&new.name, Type::TEXT),
                (&new.description, Type::TEXT),
                (&price_cents, Type::INT4),
                (&new.price.currency.as_str(), Type::BPCHAR),
            ],
        )
        .await?;
    put_minimum(change, id, new.minimum_stock).await
}

pub(super) async fn update(change: &Change<'_>, id: Uuid, to: ProductChange) -> Result<(), ReferenceError> {
    for (field, text) in [("sku", &to.sku), ("name", &to.name)] {
        if let Some(text) = text {
            checks::name(field, text)?;
        }
    }
    let price = to.price.map(checks::price_cents).transpose()?;
    let currency = to.price.map(|price| price.currency.as_str());
    let is_described = to.description.is_some();
    let description = to.description.flatten();
    let sql = "UPDATE products SET sku = coalesce($3, sku), name = coalesce($4, name), \
                   description = CASE WHEN $5 THEN $6 ELSE description END, \
                   price_cents = coalesce($7, price_cents), currency = coalesce($8, currency), \
                   is_active = coalesce($9, is_active), updated_at = now() \
               WHERE tenant_id = $1 AND id = $2";
    let changed = change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&to.sku, Type::TEXT),
                (&to.name, Type::TEXT),
                (&is_described, Type::BOOL),
                (&description, Type::TEXT),
                (&price, Type::INT4),
                (&currency, Type::BPCHAR),
                (&to.active, Type::BOOL),
            ],
        )
        .await?;
    found(changed, "product")?;
    match to.minimum_stock {
        Some(minimum) => put_minimum(change, id, minimum).await,
        None => Ok(()),
    }
}

async fn put_minimum(change: &Change<'_>, id: Uuid, minimum: u32) -> Result<(), ReferenceError> {
    let minimum = checks::within("minimumStock", minimum, 0..=i32::MAX)?;
    let sql = "INSERT INTO product_details (tenant_id, product_id, minimum_stock) VALUES ($1, $2, $3) \
               ON CONFLICT (tenant_id, product_id) DO UPDATE \
                   SET minimum_stock = excluded.minimum_stock, updated_at = now()";
    change.execute(sql, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID), (&minimum, Type::INT4)]).await?;
    Ok(())
}
