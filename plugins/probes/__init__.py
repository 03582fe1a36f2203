"""One question each: what is recorded, the answer, the figure."""
