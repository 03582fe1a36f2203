"""The in-memory data set, its batches and their augmentation."""
