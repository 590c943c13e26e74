"""The show of `pintuan demo`: merchants and shoppers on a running marketplace, over its public HTTP API.

    errors.py       what can go wrong, see below
    feed.csv        what the merchants sell
    plan.py         the script: who does what, and how each group must end
    venue.py        finds the marketplace and prepares it: the feed imported, everybody's token issued
    shop.py         the marketplace as each merchant and shopper calls it
    player.py       plays one scene of the plan, and watches its group to the end
    show.py         puts the deals on offer, plays all scenes side by side, judges the outcome
    board.py        what is known so far, and the snapshot of it that is drawn
    narration.py    what the ticker says
    verdict.py      compares the outcome with the plan
    view.py         draws a snapshot, purely
    output.py       a live view on a terminal, plain lines elsewhere
    summary.py      the tables and the lines to paste at the end

Errors:

    DemoError           the show cannot go on; one line for whoever started it
    ├── VenueError      there is no marketplace to play on, or it cannot be prepared
    ├── ShopError       the marketplace does not show what it must have
    ├── OutOfPlan       a scene went another way than its script
    └── ShowTooLong     the show was not over in time

Calls end in `pintuan.client.ClientError`; a refusal is often as planned.
"""
