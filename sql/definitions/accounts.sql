-- People with an account, and those who were erased.
-- version: 1

-- How people with an account are reached.
CREATE OR REPLACE VIEW reachable AS
SELECT a.id AS account_id, a.language,
    (SELECT c.address FROM contacts c WHERE c.account_id = a.id AND c.kind = 'email') AS email,
    (SELECT c.address FROM contacts c WHERE c.account_id = a.id AND c.kind = 'phone') AS phone
FROM accounts a;

-- Whether orders of this buyer are those of somebody who was erased.
CREATE OR REPLACE FUNCTION is_forgotten(of_buyer_id text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT EXISTS (SELECT FROM erasures e WHERE e.subject = of_buyer_id)
        OR EXISTS (SELECT FROM erasures e WHERE e.alias = of_buyer_id)
$$;
