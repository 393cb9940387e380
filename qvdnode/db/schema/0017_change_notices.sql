-- Tells nodes of changes, so that pages that are open anywhere can show them.

-- Sends a short fact about a row. The first argument is the kind, the second the column with the id;
-- the others are pairs of a name and the column that it shows. Backups that are loaded are silent.
create or replace function qvdnode_notify_change() returns trigger language plpgsql as $$
declare
    changed jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
    facts jsonb := '{}';
begin
    if current_setting('qvdnode.silent', true) = 'on' then
        return null;
    end if;
    for i in 1 .. (tg_nargs - 2) / 2 loop
        facts := facts || jsonb_build_object(tg_argv[2 * i], changed -> tg_argv[2 * i + 1]);
    end loop;
    perform pg_notify('qvdnode_changes', jsonb_build_object(
        'kind', tg_argv[0], 'id', changed -> tg_argv[1], 'change', lower(tg_op),
        'facts', jsonb_strip_nulls(facts)
    )::text);
    return null;
end $$;

create trigger notify_tenant after insert or update or delete on tenant
    for each row execute function qvdnode_notify_change('tenant', 'id');

-- not what changes with each login or start of a desktop
create trigger notify_user after insert or delete on app_user
    for each row execute function qvdnode_notify_change('user', 'id', 'tenant', 'tenant_id');
create trigger notify_user_change after update on app_user
    for each row when (
        (old.login, old.blocked, old.home_node, old.epoch)
        is distinct from (new.login, new.blocked, new.home_node, new.epoch)
    ) execute function qvdnode_notify_change('user', 'id', 'tenant', 'tenant_id');

create trigger notify_token after insert or delete on api_token
    for each row execute function qvdnode_notify_change('token', 'id');

create trigger notify_image after insert or update or delete on image
    for each row execute function qvdnode_notify_change('image', 'id');
create trigger notify_image_version after insert or update or delete on image_version
    for each row execute function qvdnode_notify_change('image', 'image_id', 'version', 'version');

create trigger notify_flavour after insert or update or delete on flavour
    for each row execute function qvdnode_notify_change('flavour', 'id', 'tenant', 'tenant_id');

create trigger notify_vm after insert or delete on vm
    for each row execute function qvdnode_notify_change(
        'vm', 'id', 'state', 'state', 'user', 'user_id', 'node', 'owner_node');
create trigger notify_vm_change after update on vm
    for each row when (
        (old.state, old.owner_node, old.name, old.blocked, old.flavour_id, old.error)
        is distinct from
        (new.state, new.owner_node, new.name, new.blocked, new.flavour_id, new.error)
    ) execute function qvdnode_notify_change(
        'vm', 'id', 'state', 'state', 'user', 'user_id', 'node', 'owner_node');

-- a lease is renewed every few seconds and is no news
create trigger notify_node after insert or delete on node
    for each row execute function qvdnode_notify_change('node', 'id', 'state', 'state');
create trigger notify_node_change after update on node
    for each row when (
        (old.name, old.address, old.state, old.epoch, old.drivers, old.program, old.drain)
        is distinct from
        (new.name, new.address, new.state, new.epoch, new.drivers, new.program, new.drain)
    ) execute function qvdnode_notify_change('node', 'id', 'state', 'state');

create trigger notify_session after insert or update or delete on session
    for each row execute function qvdnode_notify_change(
        'session', 'id', 'vm', 'vm_id', 'user', 'user_id', 'node', 'node_id', 'closed_at', 'closed_at');

create trigger notify_audit after insert on audit
    for each row execute function qvdnode_notify_change(
        'audit', 'id', 'actor', 'actor', 'action', 'action',
        'object_kind', 'object_kind', 'object_id', 'object_id');

-- ends what a browser still reads with a login that was ended
create trigger notify_login_end after delete on browser_session
    for each row execute function qvdnode_notify_change('login', 'id');
