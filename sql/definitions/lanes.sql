-- Lanes that sweeps visit.
-- version: 1

-- The lanes that workers look at every few seconds, and that a merchant's bound counts: those of deals that may still be
-- joined, those in use of deals whose time was over within the hour, and those with an open group of any other deal.
-- Deals are asked first, so that lanes of deals that are long over are never read.
CREATE OR REPLACE VIEW watched_lanes AS
SELECT l.deal_id, l.lane_no, l.epoch, d.merchant_id
FROM deals d JOIN lanes l ON l.deal_id = d.id
WHERE (
        (d.status <> 'ended' AND coalesce(d.ends_at > app_now() - interval '1 hour', true))
        OR EXISTS (SELECT FROM groups g WHERE g.deal_id = d.id AND g.status = 'open')
    )
    AND (
        (
            d.status <> 'ended'
            AND (coalesce(d.ends_at > app_now(), true) OR (l.epoch > 1 AND d.ends_at > app_now() - interval '1 hour'))
        )
        OR EXISTS (SELECT FROM groups g WHERE g.deal_id = l.deal_id AND g.lane_no = l.lane_no AND g.status = 'open')
    );
