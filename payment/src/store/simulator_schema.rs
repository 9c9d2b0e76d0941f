// @generated automatically by Diesel CLI.

diesel::table! {
    simulator.charge (idempotency_key) {
        idempotency_key -> Text,
        amount_minor -> Int8,
        currency -> Text,
        payment_method -> Text,
        status -> Text,
        reference -> Nullable<Text>,
        failure_code -> Nullable<Text>,
        refund_reference -> Nullable<Text>,
        attempts -> Int4,
        forced_mode -> Nullable<Text>,
        forced_generation -> Nullable<Int8>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    simulator.setting (singleton) {
        singleton -> Bool,
        mode -> Text,
        remaining -> Nullable<Int4>,
        latency_ms -> Int4,
        generation -> Int8,
    }
}
