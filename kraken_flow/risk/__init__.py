"""Risk: targets and orders in, approved with protection, clipped or refused."""
