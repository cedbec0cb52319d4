"""The location feature: tracks and fixes, the rider's own dot, watching, sharing, send intervals."""
