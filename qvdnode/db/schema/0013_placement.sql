-- What a farm's placement needs: where the membership listens, and where homes are.

-- UDP and TCP, at the node's address; 0 for a node that has not served since this column came
alter table node add column gossip_port integer not null default 0;

-- the node that has the user's home, from the first start of a VM of theirs; null before. A node
-- that starts says so for the homes that it has.
alter table app_user add column home_node integer;
alter table app_user add constraint app_user_home_node_fkey
    foreign key (home_node) references node (id);
