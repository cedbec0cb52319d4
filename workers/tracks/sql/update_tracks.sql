-- Notes on each track what the batch brought. A finished track with new fixes is computed again.
-- Returns the ids of open tracks that have been stopped: they may be complete now.
-- $1 uuid[]  ids           $2 bigint[]  last heard, ms   $3 bigint[]  started, ms   $4 uuid[]  motorcycles
-- $5 uuid[]  rides         $6 int[]  last_seq            $7 int[]  points added     $8 int[]  highest seq added
WITH noted AS (
    UPDATE tracks AS track
    SET last_heard_at = greatest(track.last_heard_at, to_timestamp(batch.heard_ms / 1000.0)),
        motorcycle_id = CASE WHEN track.started_at IS NULL THEN batch.motorcycle_id ELSE track.motorcycle_id END,
        ride_id = CASE WHEN track.started_at IS NULL THEN batch.ride_id ELSE track.ride_id END,
        started_at = coalesce(track.started_at, to_timestamp(batch.started_ms / 1000.0)),
        last_seq = greatest(track.last_seq, batch.last_seq),
        stored = track.stored + batch.added,
        max_seq = greatest(track.max_seq, batch.max_seq),
        recompute = track.recompute OR (batch.added > 0 AND track.finished_at IS NOT NULL)
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::int[], $7::int[], $8::int[])
         AS batch (id, heard_ms, started_ms, motorcycle_id, ride_id, last_seq, added, max_seq)
    WHERE track.id = batch.id
    RETURNING track.id, track.last_seq, track.finished_at, track.recompute
)
SELECT id FROM noted WHERE last_seq IS NOT NULL AND finished_at IS NULL AND NOT recompute
