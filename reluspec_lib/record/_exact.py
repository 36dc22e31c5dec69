"""Exact expressions, and what sympy can tell of their difference."""

from __future__ import annotations

from typing import Any

try:
    import sympy as sp
except ImportError:  # pragma: no cover - the book's environment has sympy
    raise ImportError("symbolic checks need sympy: pip install 'reluspec[book]'") from None

__all__ = ["remainder"]


def remainder(derived: Any, stated: Any) -> Any:
    """Return what is left of a difference of two exact expressions, 0 whenever sympy can tell."""
    derived, stated = _check_exact("derived", derived), _check_exact("stated", stated)
    if getattr(derived, "shape", None) != getattr(stated, "shape", None):
        raise ValueError(
            f"derived and stated must be two expressions or two matrices of one shape, got "
            f"{derived} and {stated}"
        )
    return _simplify(derived - stated)


def _simplify(expression: Any) -> Any:
    """Return the expression in a normal form that is 0 whenever sympy can tell."""
    if isinstance(expression, sp.MatrixBase):
        entries = expression.applyfunc(_simplify)
        return sp.S.Zero if entries.is_zero_matrix else entries
    # Beta functions open up only after the rewrite, so functions are expanded before and after it.
    gammas = (sp.expand_func, lambda e: e.rewrite(sp.gamma), sp.expand_func)
    for step in (lambda e: e.doit(), *gammas, sp.gammasimp, sp.simplify):
        expression = step(expression)
        if expression == 0:
            break
    return expression


def _check_exact(name: str, expression: Any) -> Any:
    """Return a sympy expression or matrix without floats."""
    try:
        exact = sp.sympify(expression, strict=True)  # a string would bring symbols of its own
    except sp.SympifyError:
        exact = None
    if not isinstance(exact, sp.Expr | sp.MatrixBase):
        raise ValueError(f"{name} must be an expression or matrix of sympy, got {expression!r}")
    if exact.has(sp.Float):
        float_ = sorted(exact.atoms(sp.Float))[0]
        raise ValueError(f"{name} must be exact, got the float {float_} in {exact}")
    return exact
