"""Device and process settings: precision, seeds, memory allocation."""
