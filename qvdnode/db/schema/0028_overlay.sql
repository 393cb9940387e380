-- What becomes of what a desktop changes outside of its user's home.

alter table flavour add column overlay text not null default 'fresh';
alter table flavour add constraint flavour_overlay_check check (overlay in ('fresh', 'keep'));
