"""Forward-Forward as an estimator of scikit-learn."""
