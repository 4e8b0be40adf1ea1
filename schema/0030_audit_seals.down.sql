-- With the columns goes the index that the sealer has made on them. Seals are taken back only while there is none.
drop table audit_verifications, audit_seals;
drop trigger refuse_audit_change on audit_log;
drop function app_private.refuse_audit_change();
drop policy sealer on audit_log;
alter table audit_log drop column transaction_id, drop column cluster_id;
-- The role stays: other databases of the cluster may use it.
drop owned by codeccloud_sealer;
