// @generated automatically by Diesel CLI.

diesel::table! {
    stripe.charge (idempotency_key) {
        idempotency_key -> Text,
        intent_id -> Nullable<Text>,
        amount -> Nullable<Int8>,
        voided -> Bool,
        round -> Int4,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    stripe.event (event_id) {
        event_id -> Text,
        kind -> Text,
        order_id -> Nullable<Uuid>,
        outcome -> Text,
        detail -> Nullable<Text>,
        received_at -> Timestamptz,
    }
}
