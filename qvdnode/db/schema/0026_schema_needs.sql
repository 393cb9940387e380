-- Which schema a program must know at least to use this database. Steps only add, so a program of the
-- release before goes on with a newer schema, also when it starts again in the middle of an upgrade.
-- A step that takes something away sets this to its own number, and comes a release after the last
-- program that uses it.

alter table schema_version add column if not exists needs integer not null default 1;
