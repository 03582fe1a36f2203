"""What an analysis returns: table, columns, claims, and the pages made of them."""
