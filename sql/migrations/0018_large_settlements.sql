-- A settlement of ten thousand members fixes their prices in one statement that changes no status. To find that out, the
-- triggers compared every new row with every old one: a join that may stop at its first row is planned as a nested loop.
-- EXCEPT is planned as a hash. The rest of both functions is as it was.

CREATE OR REPLACE FUNCTION orders_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT id, status FROM new_rows EXCEPT SELECT id, status FROM old_rows) THEN
        RETURN NULL;
    END IF;

    PERFORM FROM group_progress p
    WHERE p.group_id IN (SELECT n.group_id FROM new_rows n JOIN old_rows o USING (id) WHERE n.status <> o.status)
    ORDER BY p.group_id FOR NO KEY UPDATE;
    UPDATE group_progress p
    SET headcount = p.headcount + m.heads,
        check_at = CASE
            WHEN p.check_at IS NOT NULL AND (p.restless OR p.headcount + m.heads >= p.capacity)
            THEN least(p.check_at, app_now())
            ELSE p.check_at
        END
    FROM (
        SELECT n.group_id,
            count(*) FILTER (WHERE n.status = 'authorised')
            - count(*) FILTER (WHERE o.status = 'authorised' AND n.status = 'cancelled') AS heads
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE n.status <> o.status AND n.group_id IS NOT NULL
        GROUP BY n.group_id
    ) m
    WHERE p.group_id = m.group_id;

    INSERT INTO seat_releases (order_id, deal_id, lane_no, request_id, retired)
    SELECT n.id, n.deal_id, n.lane_no, n.request_id, n.status = 'captured'
    FROM new_rows n JOIN old_rows o USING (id)
    WHERE (order_is_live(o.status) AND NOT order_is_live(n.status))
        OR (n.status = 'captured' AND o.status = 'authorised')
    ORDER BY n.id
    ON CONFLICT (order_id) DO NOTHING;

    PERFORM FROM deal_buyers b
    WHERE (b.deal_id, b.buyer_id) IN (
        SELECT n.deal_id, n.buyer_id FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
    )
    ORDER BY b.deal_id, b.buyer_id FOR NO KEY UPDATE;
    UPDATE deal_buyers b SET units = b.units - r.units
    FROM (
        SELECT n.deal_id, n.buyer_id, sum(n.quantity) AS units
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
        GROUP BY n.deal_id, n.buyer_id
    ) r
    WHERE b.deal_id = r.deal_id AND b.buyer_id = r.buyer_id;

    PERFORM FROM lanes l
    WHERE (l.deal_id, l.lane_no) IN (
        SELECT n.deal_id, n.lane_no FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
    )
    ORDER BY l.deal_id, l.lane_no FOR NO KEY UPDATE;
    UPDATE lanes l SET sold_units = l.sold_units - r.units
    FROM (
        SELECT n.deal_id, n.lane_no, sum(n.quantity) AS units
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
        GROUP BY n.deal_id, n.lane_no
    ) r
    WHERE l.deal_id = r.deal_id AND l.lane_no = r.lane_no;
    RETURN NULL;
END
$$;

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
