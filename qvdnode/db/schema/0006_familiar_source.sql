-- From which networks a user has logged in with a password lately, for the throttle of guesses.

create table familiar_source (
    user_id integer not null,
    -- the narrowest network that counts as one source: an IPv4 address or an IPv6 /64
    network text not null,
    -- up to a day older than the last login, so that not each login writes
    seen_at timestamptz not null default clock_timestamp(),
    constraint familiar_source_pkey primary key (user_id, network),
    constraint familiar_source_user_fkey foreign key (user_id) references app_user (id)
        on delete cascade
);

create index familiar_source_network_idx on familiar_source (network, seen_at);
