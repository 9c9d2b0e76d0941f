-- Who changed what of the catalogue, and when. Append-only.
create table product_change (
    id bigint generated always as identity primary key,
    sku text not null,
    actor uuid not null,
    -- none of a product that was added
    before jsonb,
    after jsonb not null,
    at timestamptz not null
);
create index product_change_of on product_change (sku, id);

create trigger product_change_is_append_only before update or delete or truncate on product_change
    for each statement execute function refuse_audit_change();
