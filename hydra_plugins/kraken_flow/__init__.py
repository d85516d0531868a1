"""What Kraken Flow adds to Hydra itself."""
