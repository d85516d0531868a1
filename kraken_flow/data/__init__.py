"""Sources: configuration in, market columns out."""
