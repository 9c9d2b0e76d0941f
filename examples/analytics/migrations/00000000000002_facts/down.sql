drop view failure_codes;
drop view failures;
drop view revenue;
drop table fact;
