"""Portfolios: forecasts and the account in, target quantities out."""
