-- What an API token may do, and for which tenant.

alter table api_token add column role text not null default 'admin';
alter table api_token alter column role drop default;
alter table api_token add constraint api_token_role_check
    check (role in ('viewer', 'helpdesk', 'admin'));
-- without a tenant it is for the whole farm; it goes with its tenant
alter table api_token add column tenant_id integer;
alter table api_token add constraint api_token_tenant_fkey
    foreign key (tenant_id) references tenant (id) on delete cascade;
create index api_token_tenant_idx on api_token (tenant_id);
