"""Where the runs of a sweep are worked off."""
