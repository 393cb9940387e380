-- What operates a farm: why each VM was last given its node, and nodes that are being emptied.

create table vm_placement (
    vm_id integer primary key,
    node_id integer not null,
    -- the node that was asked for the desktop
    chosen_by integer not null,
    -- sentences, of the chosen node first
    reasons text[] not null,
    placed_at timestamptz not null default clock_timestamp(),
    constraint vm_placement_vm_fkey foreign key (vm_id) references vm (id) on delete cascade,
    constraint vm_placement_node_fkey foreign key (node_id) references node (id),
    constraint vm_placement_chosen_by_fkey foreign key (chosen_by) references node (id)
);

-- no: starts desktops; stay: starts none; move: starts none, and stops those that nobody uses
alter table node add column drain text not null default 'no';
alter table node add constraint node_drain_check check (drain in ('no', 'stay', 'move'));
