"""Finding and loading plugins, and naming the plugin that is responsible for an error."""
