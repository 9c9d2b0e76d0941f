// @generated automatically by Diesel CLI.

diesel::table! {
    idempotency_key (customer_id, key) {
        customer_id -> Uuid,
        key -> Text,
        request_hash -> Bytea,
        response -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    order_fact (order_id, sequence) {
        order_id -> Uuid,
        sequence -> Int8,
        topic -> Text,
        data -> Jsonb,
        at -> Timestamptz,
        event_id -> Nullable<Uuid>,
        causation_id -> Nullable<Uuid>,
        correlation_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    orders (id) {
        id -> Uuid,
        customer_id -> Uuid,
        status -> Text,
        items -> Jsonb,
        total_minor -> Int8,
        currency -> Text,
        payment_method -> Text,
        payment_id -> Nullable<Uuid>,
        cancellation_reason -> Nullable<Text>,
        cancellation_code -> Nullable<Text>,
        refunded -> Bool,
        announced -> Int8,
        version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    product (sku) {
        sku -> Text,
        name -> Text,
        unit_price_minor -> Int8,
        currency -> Text,
        active -> Bool,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(order_fact -> orders (order_id));

diesel::allow_tables_to_appear_in_same_query!(idempotency_key, order_fact, orders, product);
