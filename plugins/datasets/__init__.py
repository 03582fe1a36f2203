"""Data sets: the images that a run trains on and is tested on."""
