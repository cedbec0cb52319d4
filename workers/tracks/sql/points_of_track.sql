-- The points of a track, all columns of fixed length: a missing value is NaN.
-- $1 int  month   $2 uuid  track id
SELECT seq, timestamp, latitude, longitude,
       coalesce(altitude, 'NaN') AS altitude, coalesce(accuracy, 'NaN') AS accuracy, coalesce(speed, 'NaN') AS speed,
       flags
FROM track_points
WHERE track_month = $1 AND track_id = $2
