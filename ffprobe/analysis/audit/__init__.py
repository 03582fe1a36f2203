"""The page that ``ffprobe audit`` writes: what a reviewer asks of runs, answered from their files."""
