// @generated automatically by Diesel CLI.

diesel::table! {
    delivery (id) {
        id -> Uuid,
        user_id -> Uuid,
        notification_id -> Nullable<Uuid>,
        channel -> Text,
        webhook_id -> Nullable<Uuid>,
        status -> Text,
        attempts -> Int4,
        tries -> Int4,
        next_attempt_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Int8,
    }
}

diesel::table! {
    delivery_attempt (delivery_id, number) {
        delivery_id -> Uuid,
        number -> Int4,
        at -> Timestamptz,
        duration_ms -> Int4,
        status -> Nullable<Int4>,
        error -> Nullable<Text>,
        excerpt -> Nullable<Text>,
    }
}

diesel::table! {
    inbox (user_id) {
        user_id -> Uuid,
        last_number -> Int8,
    }
}

diesel::table! {
    notification (id) {
        id -> Uuid,
        user_id -> Uuid,
        order_id -> Nullable<Uuid>,
        kind -> Text,
        channel -> Text,
        title -> Text,
        body -> Text,
        created_at -> Timestamptz,
        read_at -> Nullable<Timestamptz>,
        number -> Nullable<Int8>,
        hidden -> Bool,
        details -> Nullable<Jsonb>,
    }
}

diesel::table! {
    preference (user_id, kind) {
        user_id -> Uuid,
        kind -> Text,
        in_app -> Bool,
        email -> Bool,
        webhook -> Bool,
    }
}

diesel::table! {
    recipient (user_id) {
        user_id -> Uuid,
        email -> Text,
    }
}

diesel::table! {
    idempotency_key (user_id, key) {
        user_id -> Uuid,
        key -> Text,
        request_hash -> Bytea,
        response -> Jsonb,
        secret -> Bytea,
        webhook_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    webhook (id) {
        id -> Uuid,
        user_id -> Uuid,
        url -> Text,
        kinds -> Nullable<Array<Text>>,
        description -> Nullable<Text>,
        secret -> Bytea,
        previous_secret -> Nullable<Bytea>,
        previous_secret_until -> Nullable<Timestamptz>,
        enabled -> Bool,
        disabled_reason -> Nullable<Text>,
        failures -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(delivery -> notification (notification_id));
diesel::joinable!(delivery -> webhook (webhook_id));
diesel::joinable!(delivery_attempt -> delivery (delivery_id));

diesel::allow_tables_to_appear_in_same_query!(
    delivery,
    delivery_attempt,
    inbox,
    notification,
    preference,
    recipient,
    webhook,
);
