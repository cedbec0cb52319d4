"""Privacy zones: places where a rider is on nobody's map."""
