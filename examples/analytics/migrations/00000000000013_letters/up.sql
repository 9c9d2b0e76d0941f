-- A letter whose purpose is gone is settled by its service, with the reason; an edited one names what it came from. Every
-- service's database has this same migration; a test in crates/messaging holds the copies equal.
alter table dead_letter add column edited_from uuid;
alter table dead_letter add column settled_reason text;
-- squawk-ignore ban-drop-constraint -- a wider one takes its place in the same transaction
alter table dead_letter drop constraint dead_letter_state_check;
alter table dead_letter add constraint dead_letter_state_check
    check (state in ('open', 'replaying', 'replayed', 'discarded', 'superseded', 'obsolete')) not valid;
