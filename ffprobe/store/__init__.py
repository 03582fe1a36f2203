"""The run file: its declared layout, its writer, its reader, and the repair of a file after a kill.

Import from the modules (``ffprobe.store.writer``, ``ffprobe.store.reader`` ...): nothing is re-exported here.
"""
