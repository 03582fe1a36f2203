"""The run file: its declared layout, the one writer, the one reader, and the repair of a file left by a kill.

Import from the modules (``ffprobe.store.writer``, ``ffprobe.store.reader`` ...): nothing is re-exported here.
"""
