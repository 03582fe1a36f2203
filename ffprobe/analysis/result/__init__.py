"""The result of an analysis: table, columns and claims, and the report pages made from them."""
