-- Writes the line and the figures of a track. Points that came while they were computed call for another time.
-- $1 uuid  track id   $2 int  points when it was read   $3 timestamptz  now   $4 bytea  line (EWKB), or null
-- $5 distance   $6 duration   $7 moving   $8 stopped   $9 ascent   $10 descent   $11 maximum   $12 average speed
-- $13 text  stops (JSON)   $14 fixes   $15 implausible   $16 standing   $17 repeated
UPDATE tracks
SET recompute = stored <> $2,
    finished_at = coalesce(finished_at, $3),
    computed_at = $3,
    line = ST_GeomFromEWKB($4),
    distance_metres = $5, duration_seconds = $6, moving_seconds = $7, stopped_seconds = $8,
    ascent_metres = $9, descent_metres = $10, max_speed = $11, average_speed = $12,
    stops = $13::text::jsonb, fixes = $14, implausible = $15, standing = $16, repeated = $17
WHERE id = $1 AND deleted_at IS NULL
