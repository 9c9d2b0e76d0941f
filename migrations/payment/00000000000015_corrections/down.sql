alter table payment drop column corrections;
