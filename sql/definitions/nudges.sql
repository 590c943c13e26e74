-- What a group's members are to be told at two moments of its life: when it opens and when it ends.
-- version: 1
-- uses: clock

CREATE OR REPLACE FUNCTION group_nudged_opened() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO nudges (group_id, kind, due_at) VALUES
        (NEW.id, 'tier_near', NEW.opened_at + (NEW.deadline - NEW.opened_at) / 2),
        (NEW.id, 'hour_left', NEW.deadline - interval '1 hour')
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION group_nudged_ended() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO nudges (group_id, kind, due_at) VALUES (NEW.id, NEW.status, app_now()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
