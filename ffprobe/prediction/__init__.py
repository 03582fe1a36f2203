"""Reading a prediction from goodness, recorded or live, without paying for every label."""
