"""Device and process matters: precision, seeds, memory allocation."""
