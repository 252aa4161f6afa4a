"""What Python imports when it starts, in what `python -m wscodec run` runs, and in processes that this starts.

Those can be of any Python, since this folder is on PYTHONPATH: so what is written here is understood by the oldest. In
those that are too old for wscodec, it steps aside.

Floor 6.
"""

import os
import sys

# By this name Python imports it when it starts; by another one, it is somebody who looks at what there is.
if __name__ == "sitecustomize":
    if sys.version_info >= (3, 11) and os.environ.get("WSCODEC_RUN"):
        from wscodec_finder import HostFinder  # type: ignore[import-not-found]

        sys.meta_path.insert(0, HostFinder(dict(pair.split("=") for pair in os.environ["WSCODEC_RUN"].split(","))))
    sys.path[:] = [folder for folder in sys.path if folder != os.path.dirname(__file__)]
    # The module of this name that Python would have found without us.
    ours = sys.modules.pop(__name__)
    try:
        __import__(__name__)
    except ImportError as error:
        # Python 2 has no `name`, and says nothing of any ImportError.
        if getattr(error, "name", __name__) != __name__:
            raise
        sys.modules[__name__] = ours
