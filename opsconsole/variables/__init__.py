"""The environment variables, each declared once: the settings read them here, and their page of the docs is made of
them."""
