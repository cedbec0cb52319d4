"""What `python -m server demo` is made of: its parts and what ends them, what it leaves in writing, its demo rider."""
