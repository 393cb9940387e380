-- What lists are searched and sorted by: names without case, by the codes of their letters, so that
-- one index serves a prefix and the order.

create index app_user_list_idx on app_user (lower(login) collate "C", id);
create index vm_list_idx on vm (lower(name) collate "C", id);
create index vm_state_idx on vm (state, id);
create index session_opened_idx on session (opened_at, id);
create index audit_list_idx on audit (lower(actor) collate "C", id);
