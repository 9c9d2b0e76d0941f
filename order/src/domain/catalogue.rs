//! What can be ordered.

use contracts::Money;

/// A product, at its price of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Stock keeping unit.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// The price of one.
    pub unit_price: Money,
    /// Whether it can be ordered.
    pub active: bool,
}
