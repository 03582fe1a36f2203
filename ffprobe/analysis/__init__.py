"""Answers from run files: results, figures, classifier heads."""
