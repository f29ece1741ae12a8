"""The records people talk about: frozen, typed, without behaviour that needs the outside."""
