"""The nouns of the marketplace, and their parts.

A noun is a folder on a shelf, and each of its parts is a file with a name of its own (`PARTS`). A file that
is there is registered: code that needs all parts of a kind asks here, and nothing else lists nouns. Parts are
loaded when somebody asks for their kind, so a worker loads no routes.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from pintuan.base.events.jobs import hearing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from litestar.types import ControllerRouterHandler
    from prometheus_client.metrics import MetricWrapperBase

    from pintuan.base.audit import Audit
    from pintuan.base.events.event import Reactions
    from pintuan.base.jobs.job import NounJobs
    from pintuan.base.personal import Personal
    from pintuan.base.process import Resources
    from pintuan.http.problems import Kind

# In the order in which they stand on each other: a noun imports from those above it alone.
NOUNS: Final = (
    "people.contacts",
    "people.consents",
    "people.merchants",
    "people.activity",
    "people.notifications",
    "people.api_keys",
    "people.identity",
    "people.personal",
    "shop.catalog",
    "shop.offers",
    "shop.deals",
    "shop.feeds",
    "buying.archive",
    "buying.groups",
    "buying.orders",
    "buying.live",
    "money.ledger",
    "money.payments",
    "money.gateway_events",
    "money.receipts",
    "money.refunds",
    "selling.sales",
    "selling.webhooks",
    "selling.rights",
    "reach.links",
    "reach.previews",
    "reach.invites",
    "reach.nudges",
    "reach.pages",
)
# The parts that are registered: a file's name, and the name it must define.
PARTS: Final = {
    "audit": "AUDIT",
    "events": "EVENTS",
    "jobs": "Jobs",
    "metrics": "METRICS",
    "personal": "PERSONAL",
    "problems": "PROBLEMS",
    "reactions": "REACTIONS",
    "routes": "HANDLERS",
    "state": "open_state",
}


def handlers() -> list[ControllerRouterHandler]:
    """Returns what the API answers, noun by noun."""
    # A process that answers nobody has no use for the framework.
    from litestar import Router

    found = [handler for _, module in _parts("routes") for handler in module.HANDLERS]
    routers = [handler for handler in found if isinstance(handler, Router)]
    # A path may not be registered from two routers, and some nouns answer on the same paths.
    shared = Router("/", route_handlers=[handler for handler in found if not isinstance(handler, Router)])
    return [shared, *routers]


def dev_handlers() -> list[ControllerRouterHandler]:
    """Returns the pages for developers, which no other environment has."""
    return [handler for _, module in _parts("routes") for handler in getattr(module, "DEV_HANDLERS", ())]


def jobs() -> list[type[NounJobs]]:
    """Returns what workers do for each noun without being called."""
    return [*(module.Jobs for _, module in _parts("jobs")), hearing(reactions())]


def events() -> dict[str, str]:
    """Returns the types of events that nouns tell, each with a sentence on what happened."""
    return {type_: said for _, module in _parts("events") for type_, said in module.EVENTS.items()}


def reactions() -> dict[str, Reactions]:
    """Returns what nouns do about events, by the names that they have in the table `listeners`."""
    return {noun.partition(".")[2]: module.REACTIONS for noun, module in _parts("reactions")}


def doorbells() -> list[str]:
    """Returns the names of the jobs that may be rung for."""
    return [job.name for noun in jobs() for job in noun.declared if job.has_doorbell]


def states() -> list[Callable[[Resources], AbstractAsyncContextManager[object]]]:
    """Returns what opens the things that nouns keep while a process answers calls."""
    return [module.open_state for _, module in _parts("state")]


def personal() -> list[Personal]:
    """Returns what nouns keep about people, noun by noun."""
    return [module.PERSONAL for _, module in _parts("personal")]


def audits() -> list[Audit]:
    """Returns what `pintuan audit` checks, noun by noun."""
    return [module.AUDIT for _, module in _parts("audit")]


def metrics() -> list[MetricWrapperBase]:
    """Returns the metrics of nouns, which are shown from when they are loaded."""
    return [metric for _, module in _parts("metrics") for metric in module.METRICS]


def problems() -> list[Mapping[type[BaseException], Kind]]:
    """Returns how refusals of nouns are answered, noun by noun."""
    return [module.PROBLEMS for _, module in _parts("problems")]


def _parts(name: str) -> Iterator[tuple[str, Any]]:
    for noun in NOUNS:
        module = f"pintuan.{noun}.{name}"
        if find_spec(module) is not None:
            yield noun, import_module(module)
