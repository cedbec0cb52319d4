-- Claims a track for one finisher until the end of the transaction, without keeping its writers waiting.
-- What it claims is read by the next statement: this one's snapshot may be older than the claim.
-- $1 uuid  track id
SELECT pg_try_advisory_xact_lock(x'7C0F1'::int, hashtext($1::uuid::text))
