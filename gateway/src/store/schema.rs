//! Tables as diesel sees them; migrations/gateway is where they are made.

diesel::table! {
    timeline_entry (event_id) {
        event_id -> Uuid,
        order_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        #[sql_name = "type"]
        kind -> Text,
        source -> Text,
        occurred_at -> Timestamptz,
        causation_id -> Uuid,
        correlation_id -> Uuid,
        sequence -> Int8,
        data -> Jsonb,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    session_revocation (event_id) {
        event_id -> Uuid,
        user_id -> Uuid,
        session_id -> Nullable<Uuid>,
        revoked_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}
