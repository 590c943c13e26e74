-- Cards, of which only a digest is kept.
-- version: 1

-- Without its key no card could be told from another, and every rule about cards would hold of none: that fails, aloud.
CREATE OR REPLACE FUNCTION card_digest(card text) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    digest bytea;
BEGIN
    SELECT substring(sha256(k.key || convert_to(card, 'UTF8')) FOR 16) INTO STRICT digest FROM card_keys k;
    RETURN digest;
END
$$;
