"""Reads server-sent events (WHATWG HTML section 9.2) out of the bytes of a response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVENT_BYTES_MAX: Final = 1024 * 1024
RETRY_DIGITS_MAX: Final = 9
_DEFAULT_TYPE: Final = "message"


class EventTooLong(Exception):
    """An event grew beyond `EVENT_BYTES_MAX`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; come back with its `id`."""

    type: str
    data: str
    id: str


class EventParser:
    """Takes chunks as they arrive; `last_id` and `retry_s` are what the stream has said so far."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_s: float | None = None
        self._rest = b""
        self._type = ""
        self._data: list[str] = []
        self._size_bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Returns the events that `chunk` completes.

        Raises:
            EventTooLong: an event is longer than any that the API sends.
        """
        events = []
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            event = self._take(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                events.append(event)
        if len(self._rest) + self._size_bytes > EVENT_BYTES_MAX:
            raise EventTooLong(f"an event is longer than {EVENT_BYTES_MAX} bytes")
        return events

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        self._size_bytes += len(line)
        match name:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self.last_id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= RETRY_DIGITS_MAX:
                self.retry_s = int(value) / 1000
            case _:
                # A comment, or a field from a later version of the standard.
                pass
        return None

    def _end(self) -> Event | None:
        data, type_ = "\n".join(self._data), self._type or _DEFAULT_TYPE
        had_data = bool(self._data)
        self._data, self._type, self._size_bytes = [], "", 0
        return Event(type_, data, self.last_id) if had_data else None
