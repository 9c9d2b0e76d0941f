create table processed_event_20260101 partition of processed_event
    for values from ('00000000-0000-0000-0000-000000000000') to ('10000000-0000-0000-0000-000000000000');
