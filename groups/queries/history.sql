-- name: postgres_position
-- Names the history this database is in, which a failover or a restore into new tables changes, and how far it is on disk.
-- Its teller is that history in this run of the server.
SELECT
    current_database() AS database,
    concat_ws(
        ':',
        system_identifier,
        substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        pg_relation_filenode('lanes')
    ) AS name,
    (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS position,
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS started_us
FROM pg_control_system();

-- name: lit_beacons
-- Tells which of these beacons this database has.
SELECT value FROM history_beacons WHERE value = ANY ($1::text[]);

-- name: light_beacon
-- Answers the last beacon if it is younger than $2 seconds, or else lights $1, and forgets those beyond the last $3.
WITH last AS (
    SELECT value, written_at FROM history_beacons ORDER BY number DESC LIMIT 1
), recent AS (
    SELECT value FROM last
    WHERE written_at BETWEEN clock_timestamp() - make_interval(secs => $2::float8) AND clock_timestamp()
), lit AS (
    INSERT INTO history_beacons (value) SELECT $1::text WHERE NOT EXISTS (SELECT FROM recent) RETURNING number, value
), forgotten AS (
    DELETE FROM history_beacons h USING lit WHERE h.number <= lit.number - $3::bigint
)
SELECT value FROM recent UNION ALL SELECT value FROM lit;

-- name: raise_all_epochs
-- Raises the epoch of every lane, locked in their order, so that no state of Redis is believed any more.
WITH locked AS (SELECT deal_id, lane_no FROM lanes ORDER BY deal_id, lane_no FOR NO KEY UPDATE)
UPDATE lanes l SET epoch = l.epoch + 1 FROM locked k WHERE (l.deal_id, l.lane_no) = (k.deal_id, k.lane_no);
