"""What is known of the show, and what a frame is drawn from."""

from datetime import timedelta

from pintuan.buying.groups.schemas import GroupTier
from pintuan.running.demo.board import TICKER_LINES_MAX, Board, Event, Placed
from pintuan.running.demo.plan import Step
from tests.unit.running.demo.samples import NOW, STEPS, deal, good_record, group, order, scene, usd


class Stopwatch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def board_at(clock: Stopwatch) -> tuple[Board, list[Event]]:
    heard: list[Event] = []
    return Board(heard.append, clock_s=clock), heard


def test_events_are_heard_at_once_and_the_latest_are_kept() -> None:
    clock = Stopwatch()
    board, heard = board_at(clock)
    clock.now_s += 2.5
    for number in range(TICKER_LINES_MAX + 3):
        board.tell(f"event {number}")
    assert len(heard) == TICKER_LINES_MAX + 3
    assert heard[0] == Event(2.5, "event 0", "plain")
    assert len(board.snapshot().events) == TICKER_LINES_MAX
    assert board.snapshot().events[-1] == heard[-1]


def test_a_deal_without_a_group_waits_at_its_first_price() -> None:
    board, _ = board_at(Stopwatch())
    board.add(scene(), deal())
    (row,) = board.snapshot().rows
    assert (row.status, row.unit_price, row.list_price, row.left_s) == ("waiting", usd(900), usd(1000), None)


def test_time_left_is_the_servers_and_counts_on_between_answers() -> None:
    clock = Stopwatch()
    board, _ = board_at(clock)
    record = board.add(scene(), deal())
    board.saw(record, group(server_time=NOW + timedelta(seconds=20)))
    clock.now_s += 15
    assert board.snapshot().rows[0].left_s == 25
    clock.now_s += 60
    assert board.snapshot().rows[0].left_s == 0


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    board, _ = board_at(Stopwatch())
    record = board.add(scene(), deal())
    board.saw(record, group("succeeded", 2, final=900, server_time=NOW + timedelta(seconds=9)))
    board.saw(record, group("open", 1, server_time=NOW + timedelta(seconds=8)))
    assert board.snapshot().rows[0].status == "succeeded"


def test_an_open_group_shows_its_next_tier_and_a_settled_one_its_final_price() -> None:
    board, _ = board_at(Stopwatch())
    record = board.add(scene(), deal())
    board.saw(record, group(headcount=2, held=1, next_tier=GroupTier(3, usd(800), 1)))
    (row,) = board.snapshot().rows
    assert (row.headcount, row.held, row.missing, row.next_price) == (2, 1, 1, usd(800))
    board.saw(record, group("succeeded", 3, final=800))
    (row,) = board.snapshot().rows
    assert (row.unit_price, row.missing, row.left_s) == (usd(800), None, None)


def test_a_solo_purchase_has_no_row_and_counts_in_the_totals() -> None:
    board, _ = board_at(Stopwatch())
    step = Step("buy", "Sam")
    record = board.add(scene(steps=(step,), ends_as="solo"), deal())
    record.placed["Sam"] = Placed(step, order(charged=1000))
    assert board.snapshot().rows == ()
    assert board.snapshot().totals.captured == (usd(1000),)


def test_totals_sum_up_orders_money_and_endings() -> None:
    board, _ = board_at(Stopwatch())
    good = good_record()
    good.refused = 1
    failed = good_record()
    failed.group = group("failed", 1)
    failed.placed = {"Ana": Placed(STEPS[0], order("released"))}
    board.records += [good, failed]
    totals = board.snapshot().totals
    assert (totals.orders, totals.paid, totals.refused) == (3, 2, 1)
    assert (totals.groups_succeeded, totals.groups_failed) == (1, 1)
    assert totals.captured == (usd(2700),)
