"""Triton's interpreter, without half of its work.

At each call of a kernel or of a device function, it replaces the functions of triton.language by
its own. For a device function the kernel has done so, unless it sees another of the two modules.
"""

import importlib.util
from typing import Any

if importlib.util.find_spec("triton"):
    from triton import language
    from triton.language import core
    from triton.runtime import interpreter

    _replace: Any = interpreter._patch_lang

    def _replace_once(function) -> Any:
        seen = [value for value in function.__globals__.values() if value in (language, core)]
        functions = [language.tensor.__add__, *(module.load for module in seen)]
        if any(map(core.is_builtin, functions)):
            return _replace(function)
        return interpreter._LangPatchScope()  # holds nothing to restore after the call

    if hasattr(interpreter, "_LangPatchScope"):  # else an older Triton
        interpreter._patch_lang = _replace_once
