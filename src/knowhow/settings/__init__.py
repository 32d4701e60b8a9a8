"""Where things live and how hard to work, with the origin of every value; and the named recipes of a workspace."""

from knowhow.settings.fields import Origin, Price, Settings, about
from knowhow.settings.fitted import FITTED
from knowhow.settings.load import FILE_NAME, Loaded, find_workspace, load, stray_variables
from knowhow.settings.recipes import BUILT_IN, read_recipes

__all__ = [
    "BUILT_IN",
    "FILE_NAME",
    "FITTED",
    "Loaded",
    "Origin",
    "Price",
    "Settings",
    "about",
    "find_workspace",
    "load",
    "read_recipes",
    "stray_variables",
]
