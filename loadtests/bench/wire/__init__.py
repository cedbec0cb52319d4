"""The wire beside its peers: Node's socket.io, plain python-socketio, and a C program that only calls send().

Every figure is CPU time (or memory, or bytes) of the server process per unit of work that really arrived at the load
generator. Servers run one after another on one core; everything else is on another.
"""
