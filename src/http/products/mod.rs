//! Products: what is sold or used up. How much of it there is, is in `stock`.

mod change;
mod product;
mod read;

pub use change::{ChangeProduct, CreateProduct, change, create};
pub use product::Product;
pub use read::{ProductQuery, get, list};
