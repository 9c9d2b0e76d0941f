alter table dead_letter drop constraint dead_letter_state_check;
alter table dead_letter add constraint dead_letter_state_check
    check (state in ('open', 'replaying', 'replayed', 'discarded', 'superseded')) not valid;
alter table dead_letter drop column settled_reason;
alter table dead_letter drop column edited_from;
