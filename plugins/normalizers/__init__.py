"""What is passed between layers."""
