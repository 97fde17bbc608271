"""Loads this folder as a package of a private name and becomes a zygote."""

import importlib
import importlib.util
import sys

if __name__ == "__main__":
    started_with = frozenset(sys.modules)
    here = __file__.rpartition("/")[0]
    spec = importlib.util.spec_from_file_location(
        "_oncue_guest", f"{here}/__init__.py", submodule_search_locations=[here]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["_oncue_guest"] = package
    spec.loader.exec_module(package)
    importlib.import_module("_oncue_guest.zygote").main(sys.argv, started_with)
