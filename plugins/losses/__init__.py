"""Local losses: what each layer minimizes."""
