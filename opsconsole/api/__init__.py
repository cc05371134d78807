"""The door for programs: `/api/v1/`, made of the routers that each app declares in its `api.py`.

`routes` declares addresses, `door` says who may come in, `idempotency` makes a repeated POST one act, `problems` writes
errors, `paging` lists, `site` puts it together.
"""
