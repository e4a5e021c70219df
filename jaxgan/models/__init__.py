"""Linen modules, sized by arguments."""
