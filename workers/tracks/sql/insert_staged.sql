-- Moves the staged points in the order of the key; a point that is there already stays as it is: the first write wins.
WITH added AS (
    INSERT INTO track_points (track_month, track_id, seq, timestamp, latitude, longitude, altitude, accuracy, speed,
                              heading, lean, battery, flags, received_at)
    SELECT track_month, track_id, seq, timestamp, latitude, longitude, altitude, accuracy, speed,
           heading, lean, battery, flags, received_at
    FROM staged_points
    ORDER BY track_month, track_id, seq
    ON CONFLICT (track_month, track_id, seq) DO NOTHING
    RETURNING track_id, seq
)
SELECT track_id, count(*)::int AS added, max(seq) AS max_seq FROM added GROUP BY track_id
