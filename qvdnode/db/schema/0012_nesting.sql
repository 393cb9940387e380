-- Whether programs in a desktop may mount in namespaces of their own, as bubblewrap, flatpak and
-- podman do.

alter table flavour add column nesting boolean not null default false;
alter table flavour alter column nesting drop default;
