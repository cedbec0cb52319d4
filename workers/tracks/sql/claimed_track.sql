-- A claimed track, and whether it is still to be computed: another finisher may have done it just before.
-- $1 uuid  track id
SELECT month, stored, finished_at IS NULL OR recompute AS is_due
FROM tracks
WHERE id = $1
