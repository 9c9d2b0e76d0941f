#![allow(clippy::print_stdout, reason = "figures for whoever runs the tests")]

mod flaws;
mod guarantees;
mod queues;
mod saga;

/// States of one order.
const ONE_ORDER: usize = 125_905;
/// States of one order whose charge an operator corrects.
const ONE_ORDER_AND_A_CORRECTION: usize = 233_006;
/// States of one order with its notifications.
const ONE_ORDER_AND_NOTIFICATIONS: usize = 54_909;
/// States of two orders.
const TWO_ORDERS: usize = 4_753_986;
/// States of the kernel's protocol in which processes die.
const SOMETHING_DIES: usize = 3_035_341;
/// States of the kernel's protocol in which facts fail.
const A_FACT_FAILS: usize = 1_712_820;
