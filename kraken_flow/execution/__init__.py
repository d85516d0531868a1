"""Execution: approved targets in, orders out."""
