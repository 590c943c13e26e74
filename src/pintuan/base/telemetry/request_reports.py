"""Reports a request that has ended: its log line and its metrics.

Requests often end together, when the batch they waited for is done. Reports of one turn of the event loop are
made together: one write to the log, one update of each metric.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pintuan.base.telemetry import metrics

if TYPE_CHECKING:
    from pintuan.base.telemetry.ended_request import EndedRequest
    from pintuan.base.telemetry.logs import RequestLog


class RequestReports:
    """Takes a process' requests as they end, and reports them when the event loop comes round again."""

    def __init__(self, request_log: RequestLog) -> None:
        self._request_log = request_log
        self._ended: list[EndedRequest] = []

    def add(self, request: EndedRequest) -> None:
        """Returns at once."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._report)
        self._ended.append(request)

    def _report(self) -> None:
        ended, self._ended = self._ended, []
        self._request_log.write(ended)
        durations_s: dict[tuple[str, str, int], list[float]] = {}
        for request in ended:
            key = (request.route, request.method, request.status)
            durations_s.setdefault(key, []).append(request.duration_s)
        for (route, method, status), values_s in durations_s.items():
            metrics.count_requests(route=route, method=method, status=status, durations_s=values_s)
