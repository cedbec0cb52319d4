-- Locks the tracks of a batch, in one order everywhere, so that two workers cannot wait for each other.
-- $1 uuid[]  track ids
SELECT id, user_id, month, max_seq, deleted_at IS NOT NULL AS is_deleted
FROM tracks
WHERE id = ANY ($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE
