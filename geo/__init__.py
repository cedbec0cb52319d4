"""Pure geometry: fixes, cells, viewports, geodesics, filters, stops, zones, statistics. No I/O, no await."""
