"""What readers see: values of the chain as terminal text, markdown, LaTeX, HTML and JSON. Nothing is computed here."""
