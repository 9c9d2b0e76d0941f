drop schema stripe cascade;
