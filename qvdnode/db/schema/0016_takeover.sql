-- Desktops of a node that was lost, on another node that has the same homes.

-- what another node does when the lease of a desktop's node is over
alter table flavour add column takeover text not null default 'never';
alter table flavour alter column takeover drop default;
alter table flavour add constraint flavour_takeover_check
    check (takeover in ('never', 'at_connect', 'at_once'));

-- the mark in the folder of homes that this node shares with others; empty for homes of its own
alter table node add column homes_id text not null default '';
