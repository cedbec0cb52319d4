"""Contracts, dispatch, socket authentication, limits and codes of the live side. Knows no feature."""
