"""Several processes that train one network together (torchrun)."""
