-- Whose turn it is at work that one worker does for all: nobody begins a sweep before `next_at` that somebody else began.
CREATE TABLE sweep_turns (
    sweep text PRIMARY KEY,
    next_at timestamptz NOT NULL
);
