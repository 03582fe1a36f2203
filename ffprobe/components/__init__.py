"""The base classes of components that plugins can provide, one file for each kind."""
