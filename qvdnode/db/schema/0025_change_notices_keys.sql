-- Gives each change a key, by which a reader goes on at another node where it stopped. It is made of
-- the transaction and the change: the same change twice in one transaction is still told once.
create or replace function qvdnode_notify_change() returns trigger language plpgsql as $$
declare
    changed jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
    facts jsonb := '{}';
    told jsonb;
begin
    if current_setting('qvdnode.silent', true) = 'on' then
        return null;
    end if;
    for i in 1 .. (tg_nargs - 2) / 2 loop
        facts := facts || jsonb_build_object(tg_argv[2 * i], changed -> tg_argv[2 * i + 1]);
    end loop;
    told := jsonb_build_object(
        'kind', tg_argv[0], 'id', changed -> tg_argv[1], 'change', lower(tg_op),
        'facts', jsonb_strip_nulls(facts)
    );
    perform pg_notify('qvdnode_changes', (told || jsonb_build_object(
        'key', left(md5(pg_current_xact_id()::text || told::text), 20)
    ))::text);
    return null;
end $$;
