drop index concurrently if exists work_action_of;
