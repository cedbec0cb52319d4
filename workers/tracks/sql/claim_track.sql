-- Claims a track for one finisher until the end of the transaction, without keeping its writers waiting.
-- $1 uuid  track id
SELECT month, stored, finished_at IS NULL OR recompute AS is_due
FROM tracks
WHERE id = $1 AND pg_try_advisory_xact_lock(x'7C0F1'::int, hashtext($1::text))
