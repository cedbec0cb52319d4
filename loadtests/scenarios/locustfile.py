"""What Locust runs: riders, riders with tunnels, watchers and readers.

`locust -f loadtests/scenarios/locustfile.py --host http://127.0.0.1:8000`, with the project's root on PYTHONPATH; or
`make load`. Run it against a server of your own only.
"""

from loadtests.scenarios.readers import Reader
from loadtests.scenarios.riders import Rider, TunnelRider
from loadtests.scenarios.watchers import Watcher

__all__ = ["Reader", "Rider", "TunnelRider", "Watcher"]
