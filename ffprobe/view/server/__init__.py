"""The web server of ``ffprobe view``: routes, access control, events, and the start of the server."""
