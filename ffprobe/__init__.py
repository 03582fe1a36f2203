"""Train, take apart and compare networks that learn without a global backward pass.

Importing this package loads neither torch nor anything else heavy. The public names stand in ``__init__.pyi``; each is
loaded when it is first used.
"""

from __future__ import annotations

import lazy_loader

from ffprobe.runtime.huge_pages import ask_for_huge_pages

ask_for_huge_pages()  # before torch allocates anything

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
