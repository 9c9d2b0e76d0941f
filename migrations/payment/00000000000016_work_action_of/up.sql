create index concurrently if not exists work_action_of on work (key) where kind = 'action';
