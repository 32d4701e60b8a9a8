"""The golden run: the sample company's answers and hits, compared with committed files."""
