-- A settlement whose ledger account left 64 bits failed for ever. What merchants offer is bounded at the door now; deals
-- from before it settle too, because sums of money are numeric. Postings stay bigint: each is a part of one order.
ALTER TABLE ledger_balances ALTER COLUMN balance_minor TYPE numeric;
