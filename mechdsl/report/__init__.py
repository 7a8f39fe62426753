"""What readers see: values of the chain rendered as terminal text, markdown, LaTeX, HTML and JSON; nothing is computed here."""
