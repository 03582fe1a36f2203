"""Many runs from one grid: which they are, what is left of them to do, and doing it."""
