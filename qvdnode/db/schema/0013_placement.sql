-- What a farm's placement needs: where the membership listens, and where homes are.

-- UDP and TCP, at the node's address; 0 for a node that has not served since this column came
alter table node add column gossip_port integer not null default 0;

-- the node that has the user's home, from the first start of a VM of theirs; null before
alter table app_user add column home_node integer;
alter table app_user add constraint app_user_home_node_fkey
    foreign key (home_node) references node (id);
-- until now placement knew one node alone: the oldest one has the homes
update app_user set home_node = (select min(id) from node where state <> 'removed')
where exists (select 1 from vm where vm.user_id = app_user.id and vm.gen > 0);
