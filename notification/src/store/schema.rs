// @generated automatically by Diesel CLI.

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
    }
}
