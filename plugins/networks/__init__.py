"""Networks: the layers that a run trains."""
