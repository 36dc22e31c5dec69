"""Settings that every pytest run of this project shares."""

import os

from hypothesis import settings

from tools.settings import environment

pytest_plugins = ("tools.nbval_figures",)

# Kernels and processes that tests start inherit this: results do not depend on who runs them.
os.environ.update(environment())

# The same examples on every run and no time limit: a gate that fails by chance is ignored soon.
# To search for new examples: pytest --hypothesis-profile=explore
settings.register_profile("book", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("book")
