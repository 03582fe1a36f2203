"""The layers of one network trained in parallel: update groups on different processes form a pipeline."""
