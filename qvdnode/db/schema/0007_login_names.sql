-- Logins as Active Directory has them: `corp\ana` and `ana@corp.example`. They are kept in small
-- letters; the account in the guest is derived from them.

alter table app_user drop constraint app_user_login_check;
alter table app_user add constraint app_user_login_check check (
    login ~ '^([a-z0-9][a-z0-9.-]{0,31}\\)?[a-z_][a-z0-9._-]{0,63}(@[a-z0-9][a-z0-9.-]{0,63})?$'
);
