"""The page of a run: `report.html`, which needs nothing but a browser."""
