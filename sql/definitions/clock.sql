-- The clock: the one "now" of every statement, and moments as numbers.
-- version: 1

-- The time of the start of the statement, so that an index on a due time can be used, shifted by a connection setting
-- that only development may set.
CREATE OR REPLACE FUNCTION app_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT statement_timestamp()
        + coalesce(nullif(current_setting('pintuan.sim_offset_ms', true), ''), '0')::bigint
        * interval '1 millisecond'
$$;

-- Microseconds since 1970, of which every list has a key that rises along it.
CREATE OR REPLACE FUNCTION epoch_us(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (extract(epoch FROM moment AT TIME ZONE 'UTC') * 1000000)::bigint;
