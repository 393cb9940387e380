-- Minutes without a key or the pointer after which a desktop's client is disconnected; 0 for never.

alter table flavour add column idle_minutes integer not null default 0;
alter table flavour add constraint flavour_idle_check check (idle_minutes between 0 and 10080);
