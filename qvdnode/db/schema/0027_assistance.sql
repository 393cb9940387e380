-- Whether helpers may ask the users of a tenant to see their desktops.

alter table tenant add column assistance boolean not null default true;
