drop table dispute;
