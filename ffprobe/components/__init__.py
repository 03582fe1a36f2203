"""What a plugin may supply: one file for each kind of component."""
