"""The script of the show as data. Every ending is written down here, and checked when the show is over.

Only the pauses and the order in which the scenes begin are drawn from the seed; what happens in a scene is
fixed.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from pintuan.running.demo.plan import FILLS_S, RUNS_OUT_S, STAYS_OPEN_S, GivenBack, Offer, Scene, Step

PAUSE_S: Final = (0.25, 0.9)
SCENE_INTERVAL_S: Final = 1.0


def plan_of(seed: int) -> tuple[Scene, ...]:
    """Returns the show with its pauses and the order of its beginnings drawn from `seed`.

    Groups that stay open begin first, so that whoever watches sees them fill in between.
    """
    random = Random(seed)  # noqa: S311 - pauses are no secret, and a seed must give the same show again.
    scenes = list(SCENES)
    random.shuffle(scenes)
    scenes.sort(key=lambda scene: scene.ends_as != "open")
    return tuple(
        replace(
            scene,
            starts_s=place * SCENE_INTERVAL_S,
            steps=tuple(replace(step, pause_s=round(random.uniform(*PAUSE_S), 3)) for step in scene.steps),
        )
        for place, scene in enumerate(scenes)
    )


_FRIENDS = Scene(
    key="friends",
    offer=Offer(
        sku="HR-KETTLE-SAGE",
        title="Gooseneck Kettle, sage",
        ladder=((2, 4400), (3, 4100), (5, 3600)),
        min_headcount=2,
        max_headcount=5,
        group_ttl_s=FILLS_S,
    ),
    steps=(
        Step("open", "Ana", twice=True),
        Step("link", "Mei", "Ana"),
        Step("link", "Tom", "Ana", quantity=2),
        Step("link", "Ines", "Mei"),
        Step("link", "Luca", "Tom"),
        Step("link", "Zoe", "Luca", refused="group_full"),
    ),
    ends_as="succeeded",
)
_STRANGERS = Scene(
    key="strangers",
    offer=Offer(
        sku="AO-THROW-MOSS",
        title="Lambswool Throw, moss",
        ladder=((3, 7900), (5, 7200), (6, 6650)),
        min_headcount=3,
        max_headcount=6,
        group_ttl_s=FILLS_S,
    ),
    steps=(
        Step("auto", "Noor"),
        Step("auto", "Pavel"),
        Step("auto", "Pavel", refused="already_joined"),
        Step("auto", "Aiko"),
        Step("auto", "Femi"),
        Step("auto", "Greta"),
        Step("auto", "Hugo"),
    ),
    ends_as="succeeded",
)
_LOWER_TIER = Scene(
    key="lower-tier",
    offer=Offer(
        sku="KK-BOWL",
        title="Matcha Bowl",
        ladder=((2, 4300), (4, 3900), (8, 3200)),
        min_headcount=2,
        max_headcount=8,
        group_ttl_s=RUNS_OUT_S,
    ),
    steps=(
        Step("open", "Yuki"),
        Step("link", "Kenji", "Yuki"),
        Step("link", "Sora", "Yuki", method="pm_capture_timeout"),
        Step("auto", "Carlos"),
    ),
    ends_as="succeeded",
)
_TOO_FEW = Scene(
    key="too-few",
    offer=Offer(
        sku="DS-DALLAH",
        title="Coffee Pot",
        ladder=((4, 16500), (8, 14250)),
        min_headcount=4,
        max_headcount=8,
        group_ttl_s=RUNS_OUT_S,
    ),
    steps=(
        Step("open", "Laila", ends_as="released"),
        Step("link", "Omar", "Laila", ends_as="released"),
        Step("auto", "Rania", method="pm_void_timeout", ends_as="released"),
    ),
    ends_as="failed",
)
_ONE_CARD_SHORT = Scene(
    key="one-card-short",
    offer=Offer(
        sku="AO-CANDLES",
        title="Beeswax Candles, today",
        ladder=((2, 2190), (4, 1890)),
        min_headcount=2,
        max_headcount=4,
        group_ttl_s=RUNS_OUT_S,
    ),
    steps=(
        Step("open", "Hana", ends_as="released"),
        Step("link", "Ivo", "Hana", method="pm_declined", ends_as="declined"),
    ),
    ends_as="failed",
)
_DECLINED = Scene(
    key="declined",
    offer=Offer(
        sku="HR-KETTLE-IVORY",
        title="Gooseneck Kettle, ivory",
        ladder=((2, 4750), (4, 4200)),
        min_headcount=2,
        max_headcount=4,
        group_ttl_s=FILLS_S,
    ),
    steps=(
        Step("open", "Dora"),
        Step("link", "Bo", "Dora", method="pm_declined", ends_as="declined"),
        Step("link", "Emil", "Dora"),
        Step("auto", "Sven"),
        Step("link", "Freya", "Emil"),
    ),
    ends_as="succeeded",
)
_BANKS = Scene(
    key="banks",
    offer=Offer(
        sku="HR-LAMP",
        title="Clamp Desk Lamp",
        ladder=((2, 3500), (4, 2995)),
        min_headcount=2,
        max_headcount=4,
        group_ttl_s=FILLS_S,
    ),
    steps=(
        Step("open", "Uma"),
        Step("link", "Vik", "Uma", method="pm_timeout", waits=False),
        Step("link", "Wen", "Uma", method="pm_slow", waits=False),
        Step("auto", "Xenia"),
    ),
    ends_as="succeeded",
)
_CAPTURE = Scene(
    key="capture",
    offer=Offer(
        sku="AO-CANDLES",
        title="Beeswax Candles",
        ladder=((2, 2250), (3, 1990)),
        min_headcount=2,
        max_headcount=3,
        group_ttl_s=FILLS_S,
    ),
    steps=(
        Step("open", "Marta"),
        Step("link", "Rob", "Marta", method="pm_capture_fails", ends_as="payment_failed"),
        Step("auto", "Jean", quantity=3),
    ),
    ends_as="succeeded",
)
_CANCELS = Scene(
    key="cancels",
    offer=Offer(
        sku="KK-TEAPOT",
        title="Side-Handle Teapot",
        ladder=((2, 6800), (4, 5900)),
        min_headcount=2,
        max_headcount=6,
        group_ttl_s=RUNS_OUT_S,
    ),
    steps=(
        Step("open", "Ada"),
        Step("link", "Ben", "Ada"),
        Step("link", "Cleo", "Ben", ends_as="cancelled"),
        Step("cancel", "Cleo"),
        Step("auto", "Dan"),
        Step("link", "Eli", "Dan"),
        Step("cancel", "Ben", refused="cancel_locked"),
    ),
    ends_as="succeeded",
)
_SOLD_OUT = Scene(
    key="sold-out",
    offer=Offer(
        sku="DS-DATES",
        title="Dates with Almonds",
        ladder=((2, 5750), (4, 4950)),
        min_headcount=2,
        max_headcount=4,
        group_ttl_s=RUNS_OUT_S,
        stock=3,
        per_buyer_units=2,
    ),
    steps=(
        Step("open", "Ida", quantity=3, refused="limit_reached"),
        Step("open", "Ida", quantity=2),
        Step("link", "Jon", "Ida"),
        Step("link", "Kim", "Jon", refused="sold_out"),
    ),
    ends_as="succeeded",
)
_ALONE = Scene(
    key="alone",
    offer=Offer(
        sku="KK-INCENSE",
        title="Cedar Incense, 40 sticks",
        ladder=((2, 1300), (4, 1100)),
        min_headcount=2,
        max_headcount=4,
        group_ttl_s=FILLS_S,
    ),
    steps=(Step("buy", "Sam", quantity=2),),
    ends_as="solo",
)
_MONEY_BACK = Scene(
    key="money-back",
    offer=Offer(
        sku="HR-MUG",
        title="Enamel Camp Mug, chipped",
        ladder=((2, 1400), (3, 1250)),
        min_headcount=2,
        max_headcount=3,
        group_ttl_s=FILLS_S,
    ),
    steps=(
        Step("open", "Olga", ends_as="refunded"),
        Step("link", "Raj", "Olga", method="pm_refund_timeout", quantity=2, ends_as="partially_refunded"),
        Step("auto", "Suki", method="pm_refund_fails"),
    ),
    ends_as="succeeded",
    given_back=(
        GivenBack("Olga", 500),
        GivenBack("Olga", reason="the second one too"),
        GivenBack("Raj", 1250),
        GivenBack("Suki", ends_as="failed"),
    ),
)
_OPEN_MUG = Scene(
    key="open-mug",
    offer=Offer(
        sku="HR-MUG",
        title="Enamel Camp Mug",
        ladder=((2, 1400), (3, 1250), (6, 1000)),
        min_headcount=2,
        max_headcount=6,
        group_ttl_s=STAYS_OPEN_S,
    ),
    steps=(
        Step("open", "Nils", ends_as="authorised"),
        Step("link", "Pia", "Nils", ends_as="authorised"),
    ),
    ends_as="open",
)
_OPEN_THROW = Scene(
    key="open-throw",
    offer=Offer(
        sku="AO-THROW-CLAY",
        title="Lambswool Throw, clay",
        ladder=((3, 7900), (5, 6900)),
        min_headcount=3,
        max_headcount=5,
        group_ttl_s=STAYS_OPEN_S,
    ),
    steps=(
        Step("open", "Quin", ends_as="authorised"),
        Step("auto", "Rosa", ends_as="authorised"),
    ),
    ends_as="open",
)
_OPEN_INCENSE = Scene(
    key="open-incense",
    offer=Offer(
        sku="KK-INCENSE",
        title="Cedar Incense",
        ladder=((2, 1300), (4, 1100)),
        min_headcount=2,
        max_headcount=4,
        group_ttl_s=STAYS_OPEN_S,
    ),
    steps=(Step("open", "Taro", ends_as="authorised"),),
    ends_as="open",
)

SCENES: Final = (
    *(_FRIENDS, _STRANGERS, _LOWER_TIER, _TOO_FEW, _ONE_CARD_SHORT, _DECLINED, _BANKS, _CAPTURE, _CANCELS),
    *(_SOLD_OUT, _ALONE, _MONEY_BACK, _OPEN_MUG, _OPEN_THROW, _OPEN_INCENSE),
)
