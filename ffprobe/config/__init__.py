"""The config of a run: settings, presets, config files and command-line options, validated against the components."""
