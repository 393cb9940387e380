-- Which kinds of guests a node can start, as it says itself; a flavour names one of them.

alter table node add column drivers text[] not null default '{}';
