"""``ffprobe view``: a local page in a browser that shows runs, live, down to the single image."""
