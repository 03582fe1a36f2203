"""From a config to a trained network: everything between the plugins and the file."""
