//! Pure: no I/O, no clock, no ids of its own making.

mod catalogue;
mod order;
mod payment_method;

pub use catalogue::Product;
pub use order::{
    CancelError, Line, Order, PlaceError, Status, cancel, expire, on_payment_completed, on_payment_failed,
    on_payment_refunded, place,
};
pub use payment_method::{PaymentMethod, PaymentMethods, UnknownPaymentMethod};
