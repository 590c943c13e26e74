-- People with an account, what they may do, and those who were erased.
-- version: 2
-- uses: cards

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

-- Whether somebody may sell now. Merchants without an account come by tokens that an operator prints or a trusted issuer
-- signs, and each token says anew what they are. One who is called as accounts are and has none was erased.
CREATE OR REPLACE FUNCTION may_sell(subject text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT coalesce(
        (SELECT a.role IN ('merchant', 'admin') FROM accounts a WHERE a.id = subject),
        subject !~ '^usr_[0-9a-f]{32}$'
    )
$$;

-- By what a buyer is known again who was erased and comes back: the contacts of their account, without one its name.
CREATE OR REPLACE FUNCTION holders_of(of_buyer_id text) RETURNS bytea[]
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT coalesce(
        (
            SELECT array_agg(card_digest('contact ' || c.kind || ' ' || c.address))
            FROM contacts c WHERE c.account_id = of_buyer_id
        ),
        ARRAY[card_digest('subject ' || of_buyer_id)]
    )
$$;
