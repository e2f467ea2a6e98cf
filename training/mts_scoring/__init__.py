"""Everything that is needed to score raw rows with a trained model, and nothing else.

This package is copied into every registered model, so that the model loads where this project is not installed. It
therefore imports only numpy, pandas and the library of the estimator, and only itself by relative imports.
"""
