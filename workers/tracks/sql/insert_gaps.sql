-- Notes sequence numbers that nobody waits for.
-- $1 uuid[]  track ids   $2 int[]  first seq   $3 int[]  last seq   $4 text[]  reasons
INSERT INTO track_gaps (track_id, first_seq, last_seq, reason)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[])
ON CONFLICT (track_id, first_seq, last_seq) DO NOTHING
