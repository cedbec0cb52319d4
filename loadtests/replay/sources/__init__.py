"""Where tracks come from: GPX files, CSV files, and roads that are made up."""
