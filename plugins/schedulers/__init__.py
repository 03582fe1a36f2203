"""Update schedulers: which layers learn together, and when."""
