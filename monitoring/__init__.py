"""A folder of small apps, each a slice of its own: models, operations, views, tables, addresses, the clock's duties."""
