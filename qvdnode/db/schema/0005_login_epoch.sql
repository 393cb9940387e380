-- Ends everything that an account's logins gave, at once and whatever is under way.

-- grows when the password changes, the account or its tenant is blocked, or its tokens are revoked
alter table app_user add column epoch integer not null default 0;

-- a token counts only while the account is in the epoch in which it was made
alter table user_token add column epoch integer not null default 0;
