-- How groups tell what happened to them; orders tell it in `orders_changed`.
-- version: 1
-- uses: clock

CREATE OR REPLACE FUNCTION group_told() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    told text := CASE TG_OP WHEN 'INSERT' THEN 'group.opened' ELSE 'group.' || NEW.status END;
BEGIN
    INSERT INTO events (noun, type, object_id, deal_id, happened_at)
    SELECT l.noun, told, NEW.id, NEW.deal_id, app_now()
    FROM listeners l
    WHERE l.type = told;
    RETURN NULL;
END
$$;
