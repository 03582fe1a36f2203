"""Run files as JSON documents for the page: one module per endpoint; none of them imports torch."""
