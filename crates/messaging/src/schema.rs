//! The kernel's tables, as `diesel print-schema` shows them.

diesel::table! {
    outbox (id) {
        id -> Int8,
        event_id -> Uuid,
        topic -> Text,
        key -> Nullable<Bytea>,
        headers -> Jsonb,
        payload -> Nullable<Bytea>,
        created_at -> Timestamptz,
        work_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    processed_event (event_id) {
        event_id -> Uuid,
    }
}

diesel::table! {
    work (id) {
        id -> Uuid,
        seq -> Int8,
        kind -> Text,
        name -> Text,
        key -> Nullable<Bytea>,
        event_id -> Nullable<Uuid>,
        headers -> Jsonb,
        payload -> Nullable<Bytea>,
        state -> Text,
        attempts -> Int4,
        next_attempt_at -> Timestamptz,
        claim -> Nullable<Uuid>,
        origin_topic -> Nullable<Text>,
        origin_partition -> Nullable<Int4>,
        origin_offset -> Nullable<Int8>,
        origin_timestamp -> Nullable<Timestamptz>,
        error_class -> Nullable<Text>,
        error_message -> Nullable<Text>,
        error_fingerprint -> Nullable<Text>,
        first_failed_at -> Nullable<Timestamptz>,
        last_failed_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        replays -> Int4,
    }
}
