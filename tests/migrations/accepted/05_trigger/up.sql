create function note_order() returns trigger language plpgsql as $$
begin
    update orders set note = 'seen' where id = new.id;
    return null;
end $$;
create trigger order_noted after insert on orders for each row execute function note_order();
