// @generated automatically by Diesel CLI.

diesel::table! {
    dispute (id) {
        id -> Uuid,
        payment_id -> Uuid,
        order_id -> Uuid,
        provider -> Text,
        provider_reference -> Text,
        amount_minor -> Int8,
        currency -> Text,
        reason -> Text,
        status -> Text,
        respond_by -> Nullable<Timestamptz>,
        opened_at -> Timestamptz,
        closed_at -> Nullable<Timestamptz>,
        withdrawn_at -> Nullable<Timestamptz>,
        reinstated_at -> Nullable<Timestamptz>,
        reported_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    payment (order_id) {
        order_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        amount_minor -> Int8,
        currency -> Text,
        payment_method -> Text,
        status -> Text,
        cancel_wanted -> Bool,
        provider -> Text,
        provider_reference -> Nullable<Text>,
        refund_reference -> Nullable<Text>,
        failure_code -> Nullable<Text>,
        attempts -> Int4,
        announced -> Int8,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        corrections -> Array<Uuid>,
    }
}
