-- What this database is in a move of the farm to another one: the one it is at, one that a copy is
-- made in, or one that it has left. Without a row it has never been part of a move.

create table database_move (
    id integer primary key default 1,
    -- counts the moves of the farm, so that a node that hears of two places takes the newer one
    number integer not null,
    state text not null,
    -- where the farm has gone, sealed for its nodes; null but in a database that it has left
    place bytea,
    at timestamptz not null default clock_timestamp(),
    constraint database_move_one_check check (id = 1),
    constraint database_move_state_check check (state in ('arriving', 'here', 'left')),
    constraint database_move_place_check check ((state = 'left') = (place is not null))
);
