"""Postgres: the engine, the tables, the migrations, and what it means when the database is away."""
