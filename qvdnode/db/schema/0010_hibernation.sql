-- Desktops that nobody uses hibernate: after how long is their flavour's, that they do is a state.

alter table flavour add column hibernate_after_s integer not null default 300;
alter table flavour add constraint flavour_hibernate_check check (hibernate_after_s >= 0);
alter table flavour alter column hibernate_after_s drop default;

alter table vm drop constraint vm_state_check;
alter table vm add constraint vm_state_check check (state in (
    'stopped', 'preparing', 'booting', 'running', 'hibernated', 'stopping', 'killing', 'cleaning',
    'failed'
));
