"""What a run was worth: round trips, statistics and costs, from an engine's integer columns."""
