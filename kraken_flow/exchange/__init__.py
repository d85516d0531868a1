"""Exchanges: instruments, fees, slippage, fill model, latency."""
