"""What a program may hand to ``ffprobe.run`` as objects: component classes, networks, data."""
