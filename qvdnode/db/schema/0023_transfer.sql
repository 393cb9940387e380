-- Which way the clipboard and files may go between desktops and users' machines.

alter table flavour add column clipboard text not null default 'both';
alter table flavour alter column clipboard drop default;
alter table flavour add column files text not null default 'both';
alter table flavour alter column files drop default;
alter table flavour add constraint flavour_transfer_check
    check (clipboard in ('both', 'in', 'out', 'none') and files in ('both', 'in', 'out', 'none'));
