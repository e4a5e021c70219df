"""What the process imports whose forks are the commands (`forks.py`)."""

import importlib
import warnings

for _name in (
    "jaxgan.train",
    "jaxgan.reporting.html.report",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "sklearn.cluster",
    "sklearn.datasets",
    "sklearn.metrics",
    "sklearn.neighbors",
):
    importlib.import_module(_name)

# JAX warns of forks because they lack its threads; in this process none has begun.
warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
