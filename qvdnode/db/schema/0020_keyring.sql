-- Which keys of the membership protocol a node uses: a digest that it writes when it has taken them.
-- A change of the key goes on when every node that serves has done the step before.

alter table node add column keyring text not null default '';
