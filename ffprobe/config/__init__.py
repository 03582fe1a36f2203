"""The config of a run: settings, presets, files and command-line words, resolved against the components they name."""
