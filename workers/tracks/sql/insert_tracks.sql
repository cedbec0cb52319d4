-- Makes the tracks that are heard of for the first time; the first rider and month stay for ever.
-- $1 uuid[]  ids   $2 int[]  months   $3 uuid[]  riders   $4 bigint[]  first heard, ms   $5 bigint[]  last heard, ms
INSERT INTO tracks (id, month, user_id, first_heard_at, last_heard_at)
SELECT id, month, user_id, to_timestamp(first_ms / 1000.0), to_timestamp(last_ms / 1000.0)
FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[], $5::bigint[]) AS heard (id, month, user_id, first_ms, last_ms)
ORDER BY id
ON CONFLICT (id) DO NOTHING
