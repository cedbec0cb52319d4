"""Several nodes on one machine, behind one port: `python -m server run --nodes N`.

`parent` starts them and starts them again, `siblings` is what each of them has of the others.
"""
