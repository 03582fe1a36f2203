"""Finding plugins, loading them, and naming the one that is responsible for an error."""
