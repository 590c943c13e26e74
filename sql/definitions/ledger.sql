-- The ledger: what the triggers on orders and postings do to the books.
-- version: 1

-- The platform's part of an amount, rounded down to the minor unit. Split so that no product leaves bigint.
CREATE OR REPLACE FUNCTION platform_fee(amount_minor bigint, fee_bps integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT amount_minor / 10000 * fee_bps + amount_minor % 10000 * fee_bps / 10000 $$;

-- Refuses a transaction that does not add up, and keeps the balances.
CREATE OR REPLACE FUNCTION ledger_posted() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM new_rows
    GROUP BY order_id, kind, operation_no
    HAVING sum(amount_minor) <> 0 OR count(DISTINCT currency) > 1 OR count(DISTINCT merchant_id) > 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a ledger transaction does not add up to zero in one currency'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balanced';
    END IF;
    INSERT INTO ledger_balances AS b (merchant_id, account, currency, balance_minor)
    SELECT merchant_id, account, currency, sum(amount_minor)
    FROM new_rows
    GROUP BY merchant_id, currency, account
    ORDER BY merchant_id, currency, account
    ON CONFLICT (merchant_id, currency, account) DO UPDATE SET balance_minor = b.balance_minor + excluded.balance_minor;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;

-- What a charge does to the books: it is owed once its price is fixed, cleared when it is captured, with the
-- platform's fee taken off, and written off at the merchant's expense when the capture finally failed. EXCEPT finds by
-- a hash that nothing of it happened, where a join would be planned as a nested loop.
CREATE OR REPLACE FUNCTION orders_charged() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT id, status, final_unit_minor FROM new_rows WHERE final_unit_minor IS NOT NULL
        EXCEPT
        SELECT id, status, final_unit_minor FROM old_rows
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO ledger_postings (order_id, kind, line_no, account, merchant_id, amount_minor, currency)
    SELECT c.id, e.kind, e.line_no, e.account, c.merchant_id, e.amount_minor, c.currency
    FROM (
        SELECT n.id, n.currency, d.merchant_id, n.final_unit_minor * n.quantity AS charge_minor,
            o.final_unit_minor IS NULL AND n.final_unit_minor IS NOT NULL AS sold,
            n.status = 'captured' AND o.status <> 'captured' AS captured,
            n.status = 'payment_failed' AND o.status <> 'payment_failed' AS failed,
            platform_fee(n.final_unit_minor * n.quantity, m.fee_bps) AS fee_minor
        FROM new_rows n JOIN old_rows o USING (id)
        JOIN deals d ON d.id = n.deal_id
        JOIN merchants m ON m.id = d.merchant_id
    ) c
    CROSS JOIN LATERAL (
        VALUES
            (c.sold, 'sale', 1, 'buyer_receivable', c.charge_minor),
            (c.sold, 'sale', 2, 'merchant_payable', -c.charge_minor),
            (c.captured, 'capture', 1, 'gateway_clearing', c.charge_minor),
            (c.captured, 'capture', 2, 'buyer_receivable', -c.charge_minor),
            (c.captured AND c.fee_minor > 0, 'capture', 3, 'merchant_payable', c.fee_minor),
            (c.captured AND c.fee_minor > 0, 'capture', 4, 'platform_fee', -c.fee_minor),
            (c.failed, 'write_off', 1, 'write_off', c.charge_minor),
            (c.failed, 'write_off', 2, 'buyer_receivable', -c.charge_minor),
            (c.failed, 'write_off', 3, 'merchant_payable', c.charge_minor),
            (c.failed, 'write_off', 4, 'write_off', -c.charge_minor)
    ) AS e (happened, kind, line_no, account, amount_minor)
    WHERE e.happened
    ORDER BY c.id, e.kind, e.line_no;
    RETURN NULL;
END
$$;
