"""For each alert: numbers at which it must fire, and numbers at which it must not.

A series is written as promtool reads it: `0+10x80` is 81 samples a quarter of a minute apart, each ten more
than the one before (prometheus.io, "Unit testing for rules").
"""

from __future__ import annotations

from dataclasses import dataclass

Series = dict[str, str]
JOIN = 'method="POST", route="/v1/deals/{deal_id}/join"'


@dataclass(frozen=True, slots=True)
class Case:
    """Two series of twenty minutes; the first makes the alert fire, the second does not."""

    fires: Series
    quiet: Series


def buckets(metric: str, *, labels: str = "", slow_le: str, fast_le: str) -> Case:
    """A histogram with every observation between `fast_le` and `slow_le`, and one with all below."""
    prefix = f"{labels}, " if labels else ""
    name = f"{metric}_bucket"
    return Case(
        fires={
            f'{name}{{{prefix}le="{fast_le}"}}': "0x80",
            f'{name}{{{prefix}le="{slow_le}"}}': "0+10x80",
            f'{name}{{{prefix}le="+Inf"}}': "0+10x80",
        },
        quiet={
            f'{name}{{{prefix}le="{fast_le}"}}': "0+10x80",
            f'{name}{{{prefix}le="+Inf"}}': "0+10x80",
        },
    )


CASES = {
    "PintuanApiDown": Case(
        fires={'up{job="pintuan-api", instance="a"}': "1x20 0x60", 'up{job="pintuan-worker"}': "1x80"},
        quiet={'up{job="pintuan-api", instance="a"}': "1x80", 'up{job="pintuan-api", instance="b"}': "0x80"},
    ),
    "PintuanWorkersDown": Case(
        fires={'up{job="pintuan-api"}': "1x80"},
        quiet={'up{job="pintuan-worker"}': "1x80"},
    ),
    "PintuanWorkersIdle": Case(
        fires={
            'pintuan_sweep_finished_timestamp_seconds{sweep="payments", pid="1"}': "0+15x40 600x40",
            'pintuan_sweep_finished_timestamp_seconds{sweep="keys", pid="1"}': "0+15x80",
        },
        quiet={
            'pintuan_sweep_finished_timestamp_seconds{sweep="payments", pid="1"}': "0+15x40 600x40",
            'pintuan_sweep_finished_timestamp_seconds{sweep="payments", pid="2"}': "0+15x80",
        },
    ),
    "PintuanOrdersUntried": Case(
        fires={'pintuan_waiting_seconds{what="untried"}': "0x76 15+15x3"},
        quiet={'pintuan_waiting_seconds{what="untried"}': "0+15x70 18x10"},
    ),
    "PintuanGroupsOverdue": Case(
        fires={'pintuan_waiting_seconds{what="group"}': "0x76 15+15x3"},
        quiet={'pintuan_waiting_seconds{what="group"}': "0+15x70 18x10"},
    ),
    "PintuanHoldsOver": Case(
        fires={'pintuan_waiting_seconds{what="held"}': "0x60 0+15x20"},
        quiet={'pintuan_waiting_seconds{what="held"}': "200x70 60x10"},
    ),
    "PintuanStoreAway": Case(
        fires={
            'pintuan_store_answers{store="redis", instance="a"}': "1x80",
            'pintuan_store_answers{store="redis", instance="b"}': "1x70 0x10",
        },
        quiet={
            'pintuan_store_answers{store="redis"}': "0x70 1x10",
            'pintuan_store_answers{store="postgres"}': "1x80",
        },
    ),
    "PintuanJoinsRefused": Case(
        fires={
            'pintuan_refusals_total{code="overloaded"}': "0x70 0+30x10",
            "pintuan_placements_total": "0+30x70 2100x10",
        },
        quiet={
            'pintuan_refusals_total{code="overloaded"}': "0+10x80",
            "pintuan_placements_total": "0+30x80",
        },
    ),
    "PintuanInstanceDown": Case(
        fires={'up{job="pintuan-api", instance="a"}': "1x80", 'up{job="pintuan-api", instance="b"}': "0x80"},
        quiet={'up{job="pintuan-api", instance="a"}': "1x70 0x10", 'up{job="other"}': "0x80"},
    ),
    "PintuanFaults": Case(
        fires={
            'pintuan_refusals_total{code="internal"}': "0+1x80",
            'pintuan_http_requests_total{status="200"}': "0+100x80",
        },
        quiet={
            'pintuan_refusals_total{code="internal"}': "0x80",
            'pintuan_refusals_total{code="sold_out"}': "0+90x80",
            'pintuan_http_requests_total{status="200"}': "0+100x80",
        },
    ),
    "PintuanOverloaded": Case(
        fires={
            'pintuan_refusals_total{code="overloaded"}': "0+2x80",
            'pintuan_http_requests_total{status="503"}': "0+100x80",
        },
        quiet={
            'pintuan_refusals_total{code="overloaded"}': "0+0.5x80",
            'pintuan_http_requests_total{status="200"}': "0+100x80",
        },
    ),
    "PintuanJoinsSlow": buckets(
        "pintuan_http_request_duration_seconds", labels=JOIN, slow_le="2.5", fast_le="1.0"
    ),
    "PintuanSettlementLate": buckets("pintuan_settlement_lag_seconds", slow_le="30.0", fast_le="12.0"),
    "PintuanPaymentsOverdue": Case(
        fires={"pintuan_payment_overdue_seconds": "90x80"},
        quiet={"pintuan_payment_overdue_seconds": "90x70 3x10"},
    ),
    "PintuanPaymentsUnknown": Case(
        fires={
            'pintuan_payments{kind="capture", state="unknown"}': "6x80",
            'pintuan_payments{kind="void", state="unknown"}': "6x80",
        },
        quiet={
            'pintuan_payments{kind="capture", state="unknown", instance="a"}': "6x80",
            'pintuan_payments{kind="capture", state="unknown", instance="b"}': "6x80",
            'pintuan_payments{kind="capture", state="due"}': "900x80",
        },
    ),
    "PintuanPaymentEscalated": Case(
        fires={'pintuan_payment_escalations_total{kind="capture"}': "0x40 1x40"},
        quiet={'pintuan_payment_escalations_total{kind="capture"}': "3x80"},
    ),
    "PintuanGatewayAway": Case(
        fires={
            'pintuan_gateway_circuit_open{instance="a"}': "0x40 2x40",
            'pintuan_gateway_circuit_open{instance="b"}': "0x80",
        },
        quiet={"pintuan_gateway_circuit_open": "0x40 1x3 0x37"},
    ),
    "PintuanQueueSlow": buckets("pintuan_queue_lag_seconds", slow_le="5.0", fast_le="2.0"),
    "PintuanJobsFailing": Case(
        fires={'pintuan_job_failures_total{exported_job="seats"}': "0+2x80"},
        quiet={'pintuan_job_failures_total{exported_job="seats"}': "0+1x4 4x76"},
    ),
    "PintuanRowsFailing": Case(
        fires={
            'pintuan_setbacks{sweep="lifecycle", state="failing"}': "0x20 1x60",
            'pintuan_setbacks{sweep="lifecycle", state="set_aside"}': "0x80",
        },
        quiet={
            'pintuan_setbacks{sweep="lifecycle", state="failing"}': "0x40 3x10 0x30",
            'pintuan_setbacks{sweep="lifecycle", state="set_aside"}': "0x80",
        },
    ),
    "PintuanDoorbellsFailing": Case(
        fires={'pintuan_doorbell_failures_total{doorbell="payments"}': "0+2x80"},
        quiet={'pintuan_doorbell_failures_total{doorbell="payments"}': "0+1x4 4x76"},
    ),
    "PintuanLanesRebuilt": Case(
        fires={"pintuan_lane_rebuilds_total": "0+100x80"},
        quiet={"pintuan_lane_rebuilds_total": "0+10x80"},
    ),
    "PintuanRedisShared": Case(
        fires={"pintuan_redis_neighbours": "0x10 1x70"},
        quiet={"pintuan_redis_neighbours": "0x80"},
    ),
    "PintuanSeatsOrphaned": Case(
        fires={"pintuan_orphan_seats_total": "0+2x80"},
        quiet={"pintuan_orphan_seats_total": "0x20 30x60"},
    ),
    "PintuanNotificationsFailing": Case(
        fires={
            'pintuan_notifications_total{channel="email", outcome="failed"}': "0+2x80",
            'pintuan_notifications_total{channel="email", outcome="sent"}': "0+8x80",
        },
        quiet={
            'pintuan_notifications_total{channel="email", outcome="retried"}': "0+9x80",
            'pintuan_notifications_total{channel="email", outcome="failed"}': "0x80",
            'pintuan_notifications_total{channel="email", outcome="sent"}': "0+8x80",
        },
    ),
    "PintuanCodesGuessed": Case(
        fires={
            'pintuan_sign_in_codes_total{outcome="wrong"}': "0+20x80",
            'pintuan_sign_in_codes_total{outcome="right"}': "0+60x80",
        },
        quiet={
            'pintuan_sign_in_codes_total{outcome="wrong"}': "0+20x80",
            'pintuan_sign_in_codes_total{outcome="right"}': "0+200x80",
        },
    ),
    "PintuanWebhooksLate": Case(
        fires={"pintuan_webhook_overdue_seconds": "0+15x80"},
        quiet={"pintuan_webhook_overdue_seconds": "110x70 300x10"},
    ),
    "PintuanEventsUnheard": Case(
        fires={
            'pintuan_unheard_event_seconds{noun="webhooks"}': "0+15x80",
            'pintuan_unheard_event_seconds{noun="nudges"}': "0x80",
        },
        quiet={'pintuan_unheard_event_seconds{noun="webhooks"}': "110x70 300x10"},
    ),
    "PintuanEventStreamsDropped": Case(
        fires={'pintuan_event_streams_dropped_total{reason="slow"}': "0+100x80"},
        quiet={
            'pintuan_event_streams_dropped_total{reason="slow"}': "0+1x80",
            'pintuan_event_streams_dropped_total{reason="drained"}': "0+100x80",
        },
    ),
}
