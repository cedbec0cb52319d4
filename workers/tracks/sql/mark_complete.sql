-- Of these stopped tracks, hands to the finisher those that are complete: every seq from 0 to last_seq is stored or in
-- a gap. Points are counted only where the numbers at hand do not decide.
-- $1 uuid[]  track ids
UPDATE tracks AS track
SET recompute = true
FROM (
    SELECT t.id, t.month, t.stored, t.max_seq, t.last_seq::bigint + 1 AS wanted,
           coalesce(g.gaps, '{}'::int8multirange) AS gaps,
           coalesce((SELECT sum(upper(r) - lower(r)) FROM unnest(g.gaps) AS r), 0) AS missing
    FROM tracks AS t
    CROSS JOIN LATERAL (
        SELECT range_agg(int8range(first_seq, last_seq::bigint + 1) * int8range(0, t.last_seq::bigint + 1)) AS gaps
        FROM track_gaps
        WHERE track_id = t.id
    ) AS g
    WHERE t.id = ANY ($1::uuid[])
) AS state
WHERE track.id = state.id
  AND CASE
      WHEN state.stored + state.missing < state.wanted THEN false
      WHEN state.missing = 0 AND coalesce(state.max_seq, -1) < state.wanted THEN true
      ELSE state.wanted - state.missing = (
          SELECT count(*)
          FROM track_points AS p
          WHERE p.track_month = state.month AND p.track_id = state.id AND p.seq < state.wanted
            AND NOT p.seq::bigint <@ state.gaps
      )
  END
