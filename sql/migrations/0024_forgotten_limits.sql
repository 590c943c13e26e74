-- Limits per buyer end with their deal. The units that buyers have of it are forgotten some time after.

-- When a deal ended, by hand or by its window; null for one without an end.
CREATE FUNCTION deal_ended_at(status text, ends_at timestamptz, updated_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT least(ends_at, CASE status WHEN 'ended' THEN updated_at END) $$;

ALTER TABLE deals ADD COLUMN limits_forgotten_at timestamptz;
CREATE INDEX deals_to_forget ON deals (deal_ended_at(status, ends_at, updated_at)) WHERE limits_forgotten_at IS NULL;
