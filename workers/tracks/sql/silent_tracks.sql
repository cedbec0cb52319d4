-- Open tracks without news.
-- $1 timestamptz  not heard since   $2 int  how many
SELECT id
FROM tracks
WHERE finished_at IS NULL AND last_heard_at <= $1
LIMIT $2
