-- The ledger: append-only double entry. What an order's charge does to it, a trigger on orders posts, so that no
-- code path can move an order's money and forget the books.

-- The platform's fee. New merchants get the operator's (PINTUAN_PLATFORM_FEE_BPS, which every session knows),
-- whichever statement adds them; those there are keep what they had, none.
ALTER TABLE merchants
    ADD COLUMN fee_bps integer NOT NULL DEFAULT 0 CONSTRAINT merchant_fee_range CHECK (fee_bps BETWEEN 0 AND 10000);
ALTER TABLE merchants
    ALTER COLUMN fee_bps SET DEFAULT coalesce(nullif(current_setting('pintuan.platform_fee_bps', true), ''), '0')::integer;

-- A transaction is (order_id, kind, operation_no); its lines are written in one statement and add up to zero.
-- Debits are positive. Every account is kept for each merchant, so that no row is shared by all of them.
CREATE TABLE ledger_postings (
    order_id text NOT NULL,
    kind text NOT NULL CONSTRAINT posting_kind CHECK (
        kind IN ('sale', 'capture', 'write_off', 'refund_asked', 'refund_paid', 'refund_failed')
    ),
    operation_no integer NOT NULL DEFAULT 0,
    line_no smallint NOT NULL,
    account text NOT NULL CONSTRAINT posting_account CHECK (account IN (
        'buyer_receivable', 'gateway_clearing', 'merchant_payable', 'platform_fee', 'refunds', 'write_off'
    )),
    merchant_id text NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT posting_amount CHECK (amount_minor <> 0),
    currency text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (order_id, kind, operation_no, line_no)
);
-- Statements are about what is owed to a merchant, the other half of every transaction is not in them.
CREATE INDEX ledger_statement ON ledger_postings (merchant_id, created_at, order_id, kind, operation_no, line_no)
    WHERE account = 'merchant_payable';

CREATE TABLE ledger_balances (
    merchant_id text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    balance_minor bigint NOT NULL,
    PRIMARY KEY (merchant_id, currency, account)
);

-- The platform's part of an amount, rounded down to the minor unit. Split so that no product leaves bigint.
CREATE FUNCTION platform_fee(amount_minor bigint, fee_bps integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT amount_minor / 10000 * fee_bps + amount_minor % 10000 * fee_bps / 10000 $$;

CREATE FUNCTION ledger_posted() RETURNS trigger
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

CREATE TRIGGER ledger_balanced
AFTER INSERT ON ledger_postings
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION ledger_posted();

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;

CREATE TRIGGER ledger_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_postings
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a charge does to the books: it is owed once its price is fixed, cleared when it is captured, with the
-- platform's fee taken off, and written off at the merchant's expense when the capture finally failed.
CREATE FUNCTION orders_charged() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM new_rows n JOIN old_rows o USING (id)
    WHERE (o.final_unit_minor IS NULL AND n.final_unit_minor IS NOT NULL)
        OR (n.status <> o.status AND n.status IN ('captured', 'payment_failed'))
    LIMIT 1;
    IF NOT FOUND THEN
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

-- The name sorts behind `orders_changed`, and triggers run by name: the ledger's locks come last.
CREATE TRIGGER orders_charged
AFTER UPDATE ON orders
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION orders_charged();
