"""Settings that every pytest run of this project shares."""

from hypothesis import settings

from tools.settings import ARITHMETIC, adopt

pytest_plugins = ("tools.nbval_figures",)

# Kernels and processes that tests start inherit this: results do not depend on who runs them. Only
# the arithmetic can be chosen: OPENBLAS_CORETYPE=Nehalem pytest --nbval book/theorems/model.ipynb.
adopt(keep=ARITHMETIC)

# The same examples on every run and no time limit: a gate that fails by chance is ignored soon.
# To search for new examples: pytest --hypothesis-profile=explore
settings.register_profile("book", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("book")
