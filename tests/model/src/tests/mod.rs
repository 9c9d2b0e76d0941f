mod flaws;
mod guarantees;
mod queues;
mod saga;

/// States of one order.
const ONE_ORDER: usize = 122_823;
/// States of one order with its notifications.
const ONE_ORDER_AND_NOTIFICATIONS: usize = 54_597;
/// States of two orders.
const TWO_ORDERS: usize = 4_664_985;
/// States of the kernel's protocol in which processes die.
const SOMETHING_DIES: usize = 3_035_341;
/// States of the kernel's protocol in which facts fail.
const A_FACT_FAILS: usize = 1_712_820;
