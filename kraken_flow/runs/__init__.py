"""Run directories: what a run writes, and what it prints."""
