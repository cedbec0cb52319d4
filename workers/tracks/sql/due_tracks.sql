-- Tracks to compute: complete ones at once, finished ones with late fixes when these have stopped coming for a while.
-- $1 timestamptz  quiet since   $2 timestamptz  figures older than this are renewed all the same   $3 int  how many
SELECT id
FROM tracks
WHERE recompute AND (finished_at IS NULL OR last_heard_at <= $1 OR computed_at <= $2)
LIMIT $3
