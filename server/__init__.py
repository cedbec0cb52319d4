"""The composition root: settings, wiring, lifespan, app, command line, telemetry. Nobody imports it."""
