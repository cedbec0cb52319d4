-- Writes the final flags of some points of a track.
-- $1 int  month   $2 uuid  track id   $3 int[]  seqs   $4 smallint[]  flags
UPDATE track_points AS point
SET flags = final.flags
FROM unnest($3::int[], $4::smallint[]) AS final (seq, flags)
WHERE point.track_month = $1 AND point.track_id = $2 AND point.seq = final.seq
