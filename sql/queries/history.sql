-- name: postgres_position
-- Names the history this database is in, which a failover or a restore into new tables changes, and how far it is on disk.
SELECT
    concat_ws(
        ':',
        system_identifier,
        substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        pg_relation_filenode('lanes')
    ) AS name,
    (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS position
FROM pg_control_system();

-- name: raise_all_epochs
-- Raises the epoch of every lane, locked in their order, so that no state of Redis is believed any more.
WITH locked AS (SELECT deal_id, lane_no FROM lanes ORDER BY deal_id, lane_no FOR NO KEY UPDATE)
UPDATE lanes l SET epoch = l.epoch + 1 FROM locked k WHERE (l.deal_id, l.lane_no) = (k.deal_id, k.lane_no);
