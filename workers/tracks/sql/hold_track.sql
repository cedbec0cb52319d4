-- Keeps writers away from a track while its flags and figures are written.
-- $1 uuid  track id
SELECT FROM tracks WHERE id = $1 FOR NO KEY UPDATE
