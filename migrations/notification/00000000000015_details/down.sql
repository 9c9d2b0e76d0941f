alter table notification drop column details;
