"""Several nodes as one: what it costs to reach another node, and what becomes of clients as they and nodes come and go.

Costs stand beside Node's socket.io with its Redis adapters, as CPU time of one process for each unit of work that
really arrived; what has to hold whatever happens is counted, client by client.
"""
